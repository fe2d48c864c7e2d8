"""A plugin of another package: installed, found by its task, typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import pytest

import cl_client.plugins
from cl_client import ComputeClient, TaskOutput, UnknownTaskError, plugins
from cl_client.models import TaskParams
from cl_client.plugins.base import BasePluginClient
from installed_packages import write_distribution
from patience import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

OutputT = TypeVar("OutputT", bound=TaskOutput)
ParamsT = TypeVar("ParamsT", bound=TaskParams)

PLUGIN = """
from cl_client.models import JobResponse, TaskOutput, TaskParams
from cl_client.plugins.base import BasePluginClient

class SharpenParams(TaskParams):
    amount: int = 1

class SharpenOutput(TaskOutput):
    sharpness: float

class SharpenClient(BasePluginClient[SharpenOutput, SharpenParams]):
    task_type = "sharpen"

    async def sharpen(self, image, *, amount=1, **options):
        return await self.submit(image, self.params(SharpenParams, amount=amount), **options)
"""
TASK = """
def run(context):
    context.output_file.write_bytes(context.input_file.read_bytes())
    return {"sharpness": context.params.amount / 2}
"""


@pytest.fixture
def run_with(tmp_path: Path) -> Callable[..., str]:
    """Runs code where distributions are installed that register these entry points."""

    def run(code: str, **entry_points: str) -> str:
        for name, points in entry_points.items():
            write_distribution(tmp_path, name, {"cl_client.plugins": points})
        (tmp_path / "sharpen_plugin.py").write_text(PLUGIN)
        (tmp_path / "sharpen_task.py").write_text(TASK)
        path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
        result = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-W", "error", "-c", code],
            env={**os.environ, "PYTHONPATH": path},
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    return run


def test_a_plugin_of_another_package(run_with: Callable[..., str]) -> None:
    code = """
import asyncio
from cl_client.local import LocalServer
from cl_client.local.tasks import TaskSpec
from sharpen_plugin import SharpenClient

async def main():
    task = TaskSpec("sharpen_task:run", "sharpen_plugin:SharpenParams", "output/sharp.jpg")
    async with LocalServer(tasks=(), extra_tasks={"sharpen": task}, workers=1) as server:
        async with server.client() as client:
            plugin = client.plugin("sharpen")
            assert plugin is client.plugin("sharpen") is client.plugin(SharpenClient)
            job = await plugin.sharpen(b"x", amount=3, wait=True)
            assert client.config.get_plugin_endpoint("sharpen") == "/jobs/sharpen"
            print(type(job.output).__name__, job.output.sharpness)
            async for _, job in plugin.map([b"y"]):
                print(job.output.sharpness)

asyncio.run(main())
"""
    assert run_with(code, sharpener="sharpen = sharpen_plugin:SharpenClient") == "SharpenOutput 1.5\n0.5"


class _Output(TaskOutput):
    """An output of a plugin of these tests."""


class _Params(TaskParams):
    """Parameters of one."""


def test_a_plugin_s_models_are_those_that_it_is_a_subclass_with() -> None:
    class Both(BasePluginClient[_Output, _Params]):
        task_type = "both"

    class More(Both):
        task_type = "more"

    class Swapped(BasePluginClient[OutputT, ParamsT], Generic[ParamsT, OutputT]):
        """A base that takes its models in another order."""

    class Last(Swapped[_Params, _Output]):
        task_type = "last"

    class ByName(BasePluginClient[TaskOutput]):
        task_type = "by_name"
        output_model: ClassVar[type[TaskOutput]] = _Output

    assert {(it.output_model, it.params_model) for it in (Both, More, Last)} == {(_Output, _Params)}
    assert (Swapped.output_model, Swapped.params_model) == (TaskOutput, TaskParams)
    assert (ByName.output_model, ByName.params_model) == (_Output, TaskParams)


ASK = """
from cl_client import ComputeClient, ComputeClientError
try:
    print(type(ComputeClient().plugin("sharpen")).__name__)
except ComputeClientError as exc:
    print(type(exc).__name__, exc)
"""


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ("sharpen = sharpen_plugin:Missing", "cannot be loaded: "),
        ("sharpen = no_such_module:Client", "cannot be loaded: No module named 'no_such_module'"),
        ("sharpen = sharpen_plugin:SharpenParams", "is not a subclass of BasePluginClient"),
        ("sharpen = sharpen_plugin:TaskOutput", "is not a subclass of BasePluginClient"),
    ],
)
def test_a_plugin_that_is_none(run_with: Callable[..., str], point: str, said: str) -> None:
    printed = run_with(ASK, sharpener=point)
    assert printed.startswith("ConfigurationError The plugin 'sharpen' of sharpener (")
    assert said in printed


def test_a_plugin_of_another_task(run_with: Callable[..., str]) -> None:
    code = ASK.replace('"sharpen"', '"blur"')
    printed = run_with(code, sharpener="blur = sharpen_plugin:SharpenClient")
    assert printed.endswith("has the task_type 'sharpen', not 'blur'")


def test_two_packages_with_the_same_plugin(run_with: Callable[..., str]) -> None:
    point = "sharpen = sharpen_plugin:SharpenClient"
    printed = run_with(ASK, one=point, two=point)
    assert printed == (
        "ConfigurationError Several packages register the plugin 'sharpen': one, two; uninstall all but one"
    )


def test_no_package_can_replace_a_plugin_of_this_library(run_with: Callable[..., str]) -> None:
    code = ASK.replace('"sharpen"', '"hash"')
    assert run_with(code, sharpener="hash = sharpen_plugin:SharpenClient") == "HashClient"


def test_entry_points_are_not_looked_up_for_plugins_of_this_library(run_with: Callable[..., str]) -> None:
    code = """
from cl_client import ComputeClient
from cl_client.plugins import table
ComputeClient().plugin("hash")
ComputeClient().config.get_plugin_endpoint("exif")
table.load_client("face_detection")
print(table.registered.cache_info().misses)
table.load_client("sharpen")
print(table.registered.cache_info().misses)
"""
    assert run_with(code, sharpener="sharpen = sharpen_plugin:SharpenClient") == "0\n1"


def test_a_plugin_that_nobody_knows() -> None:
    with pytest.raises(UnknownTaskError, match="Unknown task 'sharpen'; known tasks are: clip_embedding, "):
        ComputeClient().plugin("sharpen")


@pytest.mark.parametrize("task", plugins.PLUGINS)
def test_the_table_holds_what_it_says(task: str) -> None:
    kind = plugins.plugin_class(task)
    module = Path(cl_client.plugins.__file__).parent / f"{task}.py"
    assert sys.modules[kind.__module__].__file__ == str(module)
    assert kind.task_type == task
    assert kind.output_model.__module__ == kind.params_model.__module__ == kind.__module__
