"""Names of new tasks, which are names of Python modules, of distributions and of paths in URLs too."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.util import find_spec
from typing import Final

from cl_client.plugins import PLUGINS
from cl_client_cli.frame.usage import UsageError

MAX_LETTERS: Final = 20
"""So that the lines of the package, with its class names, stay within its own limit."""
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def check_task_name(task: str) -> None:
    """Check that a task can have this name.

    Args:
        task: The name.

    Raises:
        UsageError: It cannot; the message says why, and suggests another name where there is one.
    """
    if _NAME.fullmatch(task) is None:
        raise UsageError(f"{task}: must be lower-case words joined by underscores{_suggestion(task)}")
    if (letters := len(task.replace("_", ""))) > MAX_LETTERS:
        raise UsageError(f"{task}: must have at most {MAX_LETTERS} letters and digits, and has {letters}")
    if task in PLUGINS:
        raise UsageError(f"{task}: this is a task of cl_client itself; choose another name")
    if keyword.iskeyword(task):
        raise UsageError(f"{task}: this is a keyword of Python; choose another name")
    if task in sys.stdlib_module_names or _is_module(task):
        raise UsageError(f"{task}: a module of this name is installed already; choose another name")


def _suggestion(task: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", task).strip("_").lower()
    return f", such as {words if _NAME.fullmatch(words) else 'my_task'}"


def _is_module(name: str) -> bool:
    """Whether a module can be imported. A folder without ``__init__.py`` in the working folder is none."""
    found = find_spec(name)
    return found is not None and found.origin is not None
