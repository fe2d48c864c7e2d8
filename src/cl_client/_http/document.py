"""Whole answers, and the models that they are read into."""

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
    """An answer that was read into memory.

    Attributes:
        content: Its decoded body; not in the repr, as it may be a token.
        response: Its head.
    """

    content: bytes = field(repr=False)
    response: httpx.Response


def parse(model: type[ModelT], document: Document) -> ModelT:
    """The body as a model.

    Raises:
        InvalidResponseError: It is not JSON, or not of that shape.
    """
    try:
        return model.model_validate_json(document.content)
    except ValidationError as exc:
        path = document.response.request.url.path
        # JSON is UTF-8; the charset that a server names may be one that Python cannot decode text with.
        text = document.content[:_EXCERPT].decode(errors="replace")
        raise InvalidResponseError(f"{path}: not a {model.__name__} but {text!r}") from exc
