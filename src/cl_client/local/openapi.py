"""OpenAPI documents: the forms and errors of the routes, which FastAPI cannot see in their signatures."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

from pydantic import BaseModel, JsonValue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cl_client.models import JSONObject

FORM_ERRORS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
"""What a route that reads a form may answer."""

_URL_ENCODED: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"


class Problem(BaseModel):
    """An error, in words."""

    detail: str


class FieldProblem(BaseModel):
    """One field that is missing or invalid."""

    type: str
    loc: list[str | int]
    msg: str
    input: JsonValue = None
    ctx: dict[str, JsonValue] | None = None


class InvalidFields(BaseModel):
    """All fields that are missing or invalid."""

    detail: list[FieldProblem]


def responses(
    *errors: HTTPStatus, answer: type[BaseModel] | None = None
) -> dict[int | str, dict[str, object]]:
    """Document the answers of a route.

    Args:
        *errors: The statuses that it refuses requests with.
        answer: The model of its 200; None if the route's own annotation says it.

    Returns:
        FastAPI's argument ``responses``.
    """
    documented: dict[int | str, dict[str, object]] = {
        int(error): {
            "description": error.phrase,
            "model": InvalidFields if error is HTTPStatus.UNPROCESSABLE_ENTITY else Problem,
        }
        for error in errors
    }
    if answer is not None:
        documented[int(HTTPStatus.OK)] = {"description": "Successful Response", "model": answer}
    return documented


def form_body(
    *models: type[BaseModel], file_field: str | None = None, needs_file: bool = True
) -> dict[str, object]:
    """Document a form that a route reads from its request's body.

    Args:
        *models: Their fields are those of the form.
        file_field: The field of the uploaded file; None if there is no file.
        needs_file: Whether the file is required.

    Returns:
        FastAPI's argument ``openapi_extra``.
    """
    properties: dict[str, object] = {}
    required: list[str] = []
    if file_field is not None:
        properties[file_field] = {"type": "string", "format": "binary"}
        required += [file_field] if needs_file else []
    for model in models:
        schema = cast("JSONObject", model.model_json_schema())
        for name, field in cast("Mapping[str, JSONObject]", schema.get("properties", {})).items():
            properties[name] = _as_text(field)
        required += cast("list[str]", schema.get("required", []))
    media_type = _URL_ENCODED if file_field is None else _MULTIPART
    form = {"type": "object", "properties": properties, "required": required}
    return {"requestBody": {"required": True, "content": {media_type: {"schema": form}}}}


def _as_text(field: JSONObject) -> JSONObject:
    """A field as forms have it: a list is one text, and null is a field that is not sent."""
    branches = cast("list[JSONObject]", field.get("anyOf", [field]))
    (chosen,) = (branch for branch in branches if branch.get("type") != "null")
    schema = {**chosen, "description": field["description"]} if "description" in field else chosen
    if schema.get("type") == "array":
        return {"type": "string"}
    return {name: value for name, value in schema.items() if name != "default"}
