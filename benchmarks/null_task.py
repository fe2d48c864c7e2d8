"""A task that does nothing, so that what is measured is all the rest."""

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
    """It takes none."""


def run(_context: TaskContext[NullParams]) -> JSONObject:
    """Do nothing."""
    return {}
