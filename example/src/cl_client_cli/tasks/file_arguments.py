"""The files on a command line, as Cyclopts takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter


def _no_unknown_option(_type: object, name: str) -> None:
    """A lone ``-`` is an input, so Cyclopts takes whatever begins with one."""
    if name.startswith("-") and name != "-":
        raise ValueError(f'Unknown option: "{name}". A file of that name is written ./{name}.')


FileArgument: TypeAlias = Annotated[
    str | Path, Parameter(allow_leading_hyphen=True, validator=_no_unknown_option)
]
"""Always a text, which says more than a path does; as a path it is completed by shells."""
