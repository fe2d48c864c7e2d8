"""A task that does nothing, so that everything else is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client.local.tasks import TaskSpec
from cl_client.models import TaskParams

if TYPE_CHECKING:
    from cl_client.local.tasks.contract import TaskContext
    from cl_client.models import JSONObject

NULL = "null"
NULL_TASK = TaskSpec("null_task:run", "null_task:NullParams", "output/nothing")


class NullParams(TaskParams):
    """No parameters."""


def run(_context: TaskContext[NullParams]) -> JSONObject:
    """Do nothing.

    Args:
        _context: Unused.

    Returns:
        An empty object.
    """
    return {}
