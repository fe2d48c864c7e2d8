"""Forms without files, from a request's body to typed fields; FastAPI's own need one more library."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final, TypeVar
from urllib.parse import parse_qsl

from fastapi import HTTPException
from fastapi.exceptions import RequestValidationError
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import Request
    from pydantic_core import ErrorDetails

FormT = TypeVar("FormT", bound="Form")

_MAX_BYTES: Final = 64 * 1024


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Texts that the wire joins by commas."""


class Form(BaseModel):
    """A form; what it has no field for is ignored."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


async def read_form(request: Request, form: type[FormT]) -> FormT:
    """Read a request's form, urlencoded or multipart. An empty field counts as not sent, as with FastAPI.

    Raises:
        HTTPException: 400 for a body that is no form, 413 for one above 64 KiB.
        RequestValidationError: A field is missing or no value of its kind.
        ClientDisconnect: The client went away before the end.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_BYTES:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"Form is larger than {_MAX_BYTES} bytes"
            )
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind == "multipart/form-data" and options.get("boundary"):
        fields = _multipart_fields(bytes(body), options["boundary"])
    else:
        fields = dict(parse_qsl(body.decode(errors="replace")))
    try:
        return form.model_validate({name: value for name, value in fields.items() if value})
    except ValidationError as exc:
        # Without its cause: that would carry the other fields along, a password among them.
        raise RequestValidationError(list(validation_faults(exc))) from None


def _multipart_fields(body: bytes, boundary: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name, text = "", bytearray()
    parser = PushMultipartParser(boundary)
    try:
        for event in parser.parse(body):
            if isinstance(event, MultipartSegment):
                name, text = event.name or "", bytearray()
            elif event is None:
                fields[name] = text.decode(errors="replace")
            else:
                text += event
        parser.close()
    except MultipartError:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "There was an error parsing the body") from None
    return fields


def validation_faults(exc: ValidationError) -> Iterator[dict[str, object]]:
    """Pydantic's errors as FastAPI lists them for a form."""
    errors: list[ErrorDetails] = exc.errors(include_url=False)
    for error in errors:
        fault: dict[str, object] = {**error, "loc": ("body", *error["loc"])}
        if error["type"] == "missing":
            fault["input"] = None
        if "ctx" in error and "error" in error["ctx"]:
            fault["ctx"] = {"error": {}}  # an exception is no JSON; FastAPI writes it so
        yield fault
