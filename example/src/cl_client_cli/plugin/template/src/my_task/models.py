"""The parameters and the output of the task, which client and server share."""

from __future__ import annotations

from typing import Annotated

from cl_client import TaskOutput, TaskParams
from pydantic import Field


class MyTaskParams(TaskParams):
    """How much an image is blurred. Both sides check this, the client before it sends anything."""

    strength: Annotated[int, Field(ge=1, le=50)] = 5


class MyTaskOutput(TaskOutput):
    """The size of the result in pixels."""

    width: int
    height: int
