"""What to do about an error, said where it is known, and shown with the error."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


@contextmanager
def remedy_for(errors: type[Exception] | tuple[type[Exception], ...], remedy: str) -> Generator[None]:
    """Let such errors carry what to do about them."""
    try:
        yield
    except errors as exc:
        exc.add_note(remedy)
        raise


def remedies_of(error: BaseException) -> Sequence[str]:
    """What to do about an error, as far as it is known."""
    return cast("Sequence[str]", getattr(error, "__notes__", ()))
