"""The type of file arguments for Cyclopts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

FileArgument: TypeAlias = Annotated[str | Path, Parameter(allow_leading_hyphen=True)]
"""Always a string at run time; it is declared as a path too, so that shells complete file names."""
