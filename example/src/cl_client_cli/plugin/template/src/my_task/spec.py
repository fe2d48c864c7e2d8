"""What the server reads when it starts. It imports the params then, and the task for the first job."""

from __future__ import annotations

from cl_client.local import TaskSpec

TASK = TaskSpec(
    function="my_task.task:run",
    params="my_task.models:MyTaskParams",
    output_path="output/my_task.png",
)
