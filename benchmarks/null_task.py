"""A task that does nothing, so that everything else is measured."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from cl_client.local.tasks import TaskSpec
from cl_client.models import TaskParams

if TYPE_CHECKING:
    from cl_client.local.tasks.contract import TaskContext
    from cl_client.models import JSONObject

NULL = "null"
NULL_TASK = TaskSpec("null_task:run", "null_task:NullParams", "output/nothing")
_LOOK_SECONDS = 0.02


class NullParams(TaskParams):
    """How long to do nothing.

    Attributes:
        while_exists: Wait until there is no such file; empty to end at once.
    """

    while_exists: str = ""


def run(context: TaskContext[NullParams]) -> JSONObject:
    """Do nothing.

    Args:
        context: The job.

    Returns:
        An empty object.
    """
    while context.params.while_exists and Path(context.params.while_exists).exists():
        time.sleep(_LOOK_SECONDS)
    return {}
