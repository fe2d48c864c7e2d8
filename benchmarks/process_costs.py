"""CPU time and peak memory of programs, each in a process of its own; run as a program, it runs a task.

python benchmarks/process_costs.py TASK FILE PARAMS TIMES
"""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pydantic import TypeAdapter

from cl_client.local.tasks import TASKS
from cl_client.local.tasks.contract import TaskContext, TaskFunction
from cl_client.models import JSONObject, TaskParams

if TYPE_CHECKING:
    from collections.abc import Sequence

_LAUNCHER: Final = """
import json, os, subprocess, sys, time
begun = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=2)
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - begun
if status:
    sys.exit(f"{sys.argv[1:]} failed")
print(json.dumps([usage.ru_utime + usage.ru_stime, seconds, usage.ru_maxrss / 1024]))
"""
"""A small process between: Linux counts the peak memory of the parent process as the child's."""


class ProcessCost(NamedTuple):
    """What a process cost, with its own children."""

    cpu_seconds: float
    seconds: float
    peak_mib: float


_COST: Final = TypeAdapter(ProcessCost)


def cost_of(command: Sequence[str | Path]) -> ProcessCost:
    """Run a program and measure it.

    Args:
        command: The program and its arguments.

    Returns:
        Its cost.
    """
    done = subprocess.run(  # noqa: S603 - the programs of the benchmarks
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, *map(str, command)], stdout=subprocess.PIPE, check=True
    )
    return _COST.validate_json(done.stdout)


def task_command(task: str, file: Path, params: JSONObject, times: int = 1) -> list[str]:
    """Build the command that runs a task of the local server.

    Args:
        task: Its name.
        file: Its input.
        params: Its parameters.
        times: How often it is run in that process.

    Returns:
        The command.
    """
    return [sys.executable, __file__, task, str(file), json.dumps(params), str(times)]


def _run_task(task: str, file: Path, params: JSONObject, times: int) -> None:
    spec = TASKS[task]
    function = cast("TaskFunction[TaskParams]", pkgutil.resolve_name(spec.function))
    model = cast("type[TaskParams]", pkgutil.resolve_name(spec.params)).model_validate(params)
    for _ in range(times):
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / spec.output_path_for(file.name, params)
            output.parent.mkdir(exist_ok=True)
            function(TaskContext(model, file, output, Path(folder), lambda _: None))


if __name__ == "__main__":
    _task, _file, _params, _times = sys.argv[1:]
    _run_task(_task, Path(_file), TypeAdapter(JSONObject).validate_json(_params), int(_times))
