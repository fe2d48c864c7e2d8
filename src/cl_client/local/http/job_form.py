"""From a form's text fields to typed parameters, with FastAPI's words for what is wrong."""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, to_jsonable_python

from cl_client.local.http.uploads import FILE_FIELD, ReceivedForm
from cl_client.models import JSONObject, TaskParams

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cl_client.local.tasks import TaskSpec

ModelT = TypeVar("ModelT", bound=BaseModel)

_JSON_OBJECT = TypeAdapter(JSONObject)


class CommonFields(BaseModel):
    """What every task takes."""

    priority: Annotated[int, Field(ge=0, le=10)] = 5


def parse_form(form: ReceivedForm, spec: TaskSpec) -> tuple[JSONObject, int]:
    """The task's parameters as JSON, and the priority. Fields that nobody knows are ignored, as FastAPI does.

    Raises:
        RequestValidationError: With every fault of the form.
    """
    model = cast("type[TaskParams]", pkgutil.resolve_name(spec.params))
    # An empty field counts as not sent.
    fields = {name: value for name, value in form.fields.items() if value}
    faults = [_file_fault(form)] if form.file_name is None else []
    common = _validated(CommonFields, fields, faults)
    params = _validated(model, fields, faults)
    if common is None or params is None or faults:
        raise RequestValidationError(faults)
    # The fields themselves and not their form texts: a list is a list in a job's params.
    return _JSON_OBJECT.validate_python(to_jsonable_python(dict(params))), common.priority


def _validated(
    model: type[ModelT], fields: Mapping[str, str], faults: list[dict[str, object]]
) -> ModelT | None:
    """The model's part of the fields; None where some are at fault, which are added to the faults."""
    try:
        return model.model_validate({name: fields[name] for name in model.model_fields if name in fields})
    except ValidationError as exc:
        faults.extend(validation_faults(exc))
        return None


def _file_fault(form: ReceivedForm) -> dict[str, object]:
    text = form.fields.get(FILE_FIELD)
    if text is None:
        return {"type": "missing", "loc": ("body", FILE_FIELD), "msg": "Field required", "input": None}
    return {
        "type": "value_error",
        "loc": ("body", FILE_FIELD),
        "msg": "Value error, Expected UploadFile, received: <class 'str'>",
        "input": text,
        "ctx": {"error": {}},
    }


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
