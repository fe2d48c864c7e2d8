"""Whole responses in memory, and the models that they are parsed into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import BaseModel, ValidationError

from cl_client._errors import InvalidResponseError

if TYPE_CHECKING:
    import httpx

ModelT = TypeVar("ModelT", bound=BaseModel)

_EXCERPT: Final = 120


@dataclass(frozen=True, slots=True)
class Document:
    """A response that was read into memory.

    Attributes:
        content: Decoded body; not in the repr, since it may be a token.
        response: Status and headers.
    """

    content: bytes = field(repr=False)
    response: httpx.Response


def parse(model: type[ModelT], document: Document) -> ModelT:
    """Parse the body into a model.

    Args:
        model: Class of the model.
        document: Response with a JSON body.

    Returns:
        The validated model.

    Raises:
        InvalidResponseError: The body is not JSON, or does not match the model.
    """
    try:
        return model.model_validate_json(document.content)
    except ValidationError as exc:
        path = document.response.request.url.path
        # JSON is UTF-8; the charset that a server names may be unknown to Python.
        text = document.content[:_EXCERPT].decode(errors="replace")
        raise InvalidResponseError(f"{path}: the response is not a valid {model.__name__}: {text!r}") from exc
