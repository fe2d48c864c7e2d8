"""Parsing of a job's form into its file and its typed parameters, with FastAPI's error messages."""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING, Annotated, TypeVar, cast

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from cl_client.local.auth.form_fields import validation_faults
from cl_client.local.http.uploads import FILE_FIELD, FormReceiver, ReceivedForm
from cl_client.local.jobs.service import JobInput
from cl_client.models import JSONObject, TaskParams

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from fastapi import Request

    from cl_client.local.tasks import TaskSpec

ModelT = TypeVar("ModelT", bound=BaseModel)

_JSON_OBJECT = TypeAdapter(JSONObject)


class CommonFields(BaseModel):
    """The form fields that every task has."""

    priority: Annotated[int, Field(ge=0, le=10)] = 5


async def receive_job(request: Request, spec: TaskSpec, max_bytes: int, folder: Path) -> JobInput:
    """Receive the form of a job and store its file.

    Args:
        request: The request, its body not read yet.
        spec: The task.
        max_bytes: Size limit of the body, in bytes.
        folder: Folder for the file; created for it.

    Returns:
        The stored file's name, the validated parameters and the priority.

    Raises:
        HTTPException: The upload is too large, or the form is malformed.
        RequestValidationError: A field is missing or invalid.
        ClientDisconnect: The client disconnected before the end of the body.
    """
    return parse_form(await FormReceiver(folder, max_bytes).receive(request), spec)


def parse_form(form: ReceivedForm, spec: TaskSpec) -> JobInput:
    """Validate a form. Unknown fields are ignored, as FastAPI does.

    Args:
        form: The received form.
        spec: The task.

    Returns:
        The file name, the validated parameters and the priority.

    Raises:
        RequestValidationError: A field is missing or invalid; lists all such fields.
    """
    model = cast("type[TaskParams]", pkgutil.resolve_name(spec.params))
    # An empty field is treated as missing.
    fields = {name: value for name, value in form.fields.items() if value}
    faults = [_file_fault(form)] if form.file_name is None else []
    common = _validated(CommonFields, fields, faults)
    params = _validated(model, fields, faults)
    if common is None or params is None or faults:
        raise RequestValidationError(faults)
    # The typed values and not the form's text: a list stays a list in a job's params.
    as_json = _JSON_OBJECT.validate_python(to_jsonable_python(dict(params)))
    return JobInput(form.file_name or "", as_json, common.priority)


def _validated(
    model: type[ModelT], fields: Mapping[str, str], faults: list[dict[str, object]]
) -> ModelT | None:
    """Validate the model's part of the fields; on errors, add them to the faults and return None."""
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
