"""Remedies: hints attached to an error where they are known, and printed with it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


@contextmanager
def remedy_for(errors: type[Exception] | tuple[type[Exception], ...], remedy: str) -> Generator[None]:
    """Attach a remedy to errors that are raised in the context.

    Args:
        errors: The classes of errors.
        remedy: What to do, as a sentence.

    Yields:
        Nothing.
    """
    try:
        yield
    except errors as exc:
        exc.add_note(remedy)
        raise


def remedies_of(error: BaseException) -> Sequence[str]:
    """The remedies attached to an error.

    Args:
        error: The error.

    Returns:
        The sentences, empty if there are none.
    """
    return cast("Sequence[str]", getattr(error, "__notes__", ()))
