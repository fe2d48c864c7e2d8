"""Parsing of forms without files into typed fields."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Final, TypeVar
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from starlette.exceptions import HTTPException

from cl_client.local.web import InvalidFieldsError, validation_faults

if TYPE_CHECKING:
    from starlette.requests import Request

FormT = TypeVar("FormT", bound="Form")

_MAX_BYTES: Final = 64 * 1024


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""Strings that are joined by commas on the wire."""


class Form(BaseModel):
    """A form. Unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)


async def read_form(request: Request, form: type[FormT]) -> FormT:
    """Read a request's form, urlencoded or multipart. An empty field is treated as missing, as in FastAPI.

    Args:
        request: The request, its body not read yet.
        form: The model of the form.

    Returns:
        The validated form.

    Raises:
        HTTPException: 400 for a malformed body, 413 for one larger than 64 KiB.
        InvalidFieldsError: A field is missing or invalid.
        ClientDisconnect: The client disconnected before the end of the body.
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
        # Without its cause, which would contain the other fields, for example a password.
        raise InvalidFieldsError([*validation_faults(exc)]) from None


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
