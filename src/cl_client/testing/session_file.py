"""The file of a recorded session: JSON that a person can read and edit."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from cl_client.exceptions import ConfigurationError

if TYPE_CHECKING:
    from typing import Self

_BOUNDARY = re.compile(r'boundary="?([^";\s]+)', re.IGNORECASE)
_JSON: TypeAdapter[JsonValue] = TypeAdapter(JsonValue)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Content(_Part):
    """A body or a payload in the most readable form; empty where everything is None.

    Attributes:
        data: What was JSON, an object or a list.
        text: What was other UTF-8.
        base64: All else.
    """

    data: JsonValue | None = None
    text: str | None = None
    base64: str | None = None

    @classmethod
    def of(cls, content: bytes) -> Self:
        """Describe bytes.

        Args:
            content: The bytes.

        Returns:
            Their most readable form.
        """
        if not content:
            return cls()
        with contextlib.suppress(ValueError):
            data = _JSON.validate_json(content)
            if isinstance(data, dict | list):
                return cls(data=data)
        with contextlib.suppress(ValueError):
            return cls(text=content.decode())
        return cls(base64=base64.b64encode(content).decode())

    def to_bytes(self) -> bytes:
        """Give back what was described; JSON perhaps with other spaces.

        Returns:
            The bytes.

        Raises:
            ValueError: ``base64`` is invalid.
        """
        if self.data is not None:
            return _JSON.dump_json(self.data)
        if self.text is not None:
            return self.text.encode()
        return base64.b64decode(self.base64 or "", validate=True)


class Exchanged(_Part):
    """A request and its response.

    Attributes:
        kind: What kind of entry this is.
        at: Seconds since the beginning of the session.
        method: The method.
        path: Path and query, below the path of the server's address.
        range: The header ``Range`` of the request.
        sha256: Of the request's body, without the random boundary of its form; None where it has no body.
        status: The status code of the response.
        headers: Those headers of the response that say something about its content.
        body: The body of the response.
    """

    kind: Literal["http"] = "http"
    at: float = Field(ge=0)
    method: str
    path: str
    range: str | None = None
    sha256: str | None = None
    status: int = Field(ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: Content = Content()

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing on the server."""
        return self.method in {"GET", "HEAD"}

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What requests have in common that ask for the same."""
        return self.method, self.path, self.range


class Announced(_Part):
    """An MQTT message.

    Attributes:
        kind: What kind of entry this is.
        at: Seconds since the beginning of the session.
        topic: The topic.
        retain: Whether the broker had kept it for those who subscribe later.
        payload: The payload.
    """

    kind: Literal["mqtt"] = "mqtt"
    at: float = Field(ge=0)
    topic: str
    retain: bool = False
    payload: Content = Content()


Entry: TypeAlias = Exchanged | Announced
"""One thing that happened in a session."""


class RecordedSession(_Part):
    """A whole session.

    Attributes:
        format: What kind of file this is.
        recorded_at: When it was recorded.
        entries: What happened, in order: requests where they arrived, messages where they came.
    """

    format: Literal["cl_client session, version 1"] = "cl_client session, version 1"
    recorded_at: AwareDatetime
    entries: list[Annotated[Exchanged | Announced, Field(discriminator="kind")]]

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file.

        Args:
            path: The file.

        Returns:
            The session in it.

        Raises:
            OSError: The file cannot be read.
            ConfigurationError: It is not the file of a session; the message says where it is wrong.
        """
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except ValidationError as exc:
            first = exc.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise ConfigurationError(f"{path} is not a recorded session: {place}: {first['msg']}") from exc

    def save(self, path: str | Path) -> None:
        """Write a file, all of it or nothing.

        Args:
            path: The file; one that exists is replaced.

        Raises:
            OSError: It cannot be written.
        """
        target = Path(path)
        neighbour = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        try:
            text = self.model_dump_json(indent=1, exclude_none=True)
            _ = neighbour.write_text(f"{text}\n", encoding="utf-8")
            _ = neighbour.replace(target)
        finally:
            neighbour.unlink(missing_ok=True)


def digest_of(content: bytes, content_type: str) -> str | None:
    """Tell uploads apart.

    Args:
        content: The body of a request.
        content_type: Its content type, which names the boundary of a form.

    Returns:
        The SHA-256 of the body without the boundary, in hex; None for no body.
    """
    if not content:
        return None
    found = _BOUNDARY.search(content_type)
    plain = content.replace(found[1].encode(), b"") if found else content
    return hashlib.sha256(plain).hexdigest()
