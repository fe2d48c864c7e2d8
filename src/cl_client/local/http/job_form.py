"""Parsing of a job's form into its file and its typed parameters, with FastAPI's error messages."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Final, TypeVar, cast

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python
from starlette.exceptions import HTTPException

from cl_client._transfers.names import shortened
from cl_client._transfers.references import OUTPUT_PATH_FIELD, PATH_FIELD
from cl_client.local.http.share_access import ReferenceFields
from cl_client.local.http.uploads import FILE_FIELD, FormReceiver, ReceivedForm, safe_file_name
from cl_client.local.jobs.service import JobInput
from cl_client.local.web import InvalidFieldsError, validation_faults
from cl_client.models import JSONObject, TaskParams

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from starlette.requests import Request

    from cl_client.local.http.share_access import ShareAccess
    from cl_client.local.tasks import TaskSpec

ModelT = TypeVar("ModelT", bound=BaseModel)

_MAX_NAME_BYTES: Final = 200
"""File systems accept 255, and tasks add to the name."""

_JSON_OBJECT = TypeAdapter(JSONObject)


class CommonFields(BaseModel):
    """The form fields that every task has."""

    priority: Annotated[int, Field(ge=0, le=10)] = 5


@dataclass(frozen=True, slots=True)
class FormRules:
    """How the forms of one task are read.

    Attributes:
        task_type: The name of the task.
        spec: The task.
        max_bytes: Size limit of the body, in bytes.
        takes_path: Whether CL Servers take a path on their disk for this task.
        shares: What may be named in place of a file; None if nothing is shared.
    """

    task_type: str
    spec: TaskSpec
    max_bytes: int
    takes_path: bool = False
    shares: ShareAccess | None = None


async def receive_job(request: Request, rules: FormRules, folder: Path) -> JobInput:
    """Receive the form of a job and store its file, or find the file that it names.

    Args:
        request: The request, its body not read yet.
        rules: How to read it.
        folder: Folder for the file; created for it.

    Returns:
        The file, the validated parameters and the priority.

    Raises:
        HTTPException: The upload is too large, the form is malformed, or there is no such shared file.
        InvalidFieldsError: A field is missing or invalid.
        ClientDisconnect: The client disconnected before the end of the body.
    """
    form = await FormReceiver(folder, rules.max_bytes).receive(request)
    return await _parsed(request, form, rules)


async def _parsed(request: Request, form: ReceivedForm, rules: FormRules) -> JobInput:
    """Validate a form. Unknown fields are ignored, as FastAPI does."""
    model = cast("type[TaskParams]", pkgutil.resolve_name(rules.spec.params))
    # An empty field is treated as missing.
    fields = {name: value for name, value in form.fields.items() if value}
    by_path = form.file_name is None and PATH_FIELD in fields and (rules.shares is not None)
    faults = [_file_fault(form)] if form.file_name is None and not (by_path or rules.takes_path) else []
    common = _validated(CommonFields, fields, faults)
    params = _validated(model, fields, faults)
    reference = _validated(ReferenceFields, fields, faults) if by_path else ReferenceFields()
    if common is None or params is None or reference is None or faults:
        raise InvalidFieldsError(faults)
    # The typed values and not the form's text: a list stays a list in a job's params.
    as_json = _JSON_OBJECT.validate_python(to_jsonable_python(dict(params)))
    if form.file_name is not None:
        return JobInput(form.file_name, as_json, common.priority, content=form.content)
    if not by_path or rules.shares is None:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"Either {FILE_FIELD} or {PATH_FIELD} must be provided")
    if OUTPUT_PATH_FIELD in fields:
        raise HTTPException(
            HTTPStatus.BAD_REQUEST, f"{OUTPUT_PATH_FIELD}: this server writes only to the folders of its jobs"
        )
    source = await rules.shares.source(request, rules.task_type, reference)
    return JobInput(
        shortened(safe_file_name(PurePath(source.path).name), _MAX_NAME_BYTES),
        as_json,
        common.priority,
        source,
    )


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
