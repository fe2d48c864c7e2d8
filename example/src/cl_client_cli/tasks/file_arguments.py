"""The files on a command line, as Cyclopts takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

FileArgument: TypeAlias = Annotated[str | Path, Parameter(allow_leading_hyphen=True)]
"""Always a text, which says more than a path does; as a path it is completed by shells."""
