"""Errors about invalid settings, which name each setting and quote no value."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from cl_client._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def invalid_settings_named() -> Generator[None]:
    """Convert a validation error in the context with `configuration_error`.

    Yields:
        Nothing.

    Raises:
        ConfigurationError: A setting is invalid.
    """
    try:
        yield
    except ValidationError as exc:
        error = configuration_error(exc)
        raise error from None


def configuration_error(exc: ValidationError) -> ConfigurationError:
    """Convert a validation error to one that names each invalid setting and the reason.

    Args:
        exc: The validation error.

    Returns:
        An error whose message does not contain the values, since they may be secret.
    """
    problems = "; ".join(
        f"{'.'.join(map(str, e['loc']))}: {e['msg'].removeprefix('Value error, ')}"
        for e in exc.errors(include_input=False)
    )
    return ConfigurationError(f"Invalid setting: {problems}")
