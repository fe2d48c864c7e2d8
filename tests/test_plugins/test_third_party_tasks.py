"""A task of another package: installed, found by the local server, run by its workers."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from cl_client import ConfigurationError, TaskOutput, UnknownTaskError
from cl_client.local import LocalServer
from cl_client.local.tasks import TASKS, TaskSpec
from cl_client.plugins.table import registered
from installed_packages import InstalledPackages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GROUP = "cl_client.tasks"
CLIENT = """
from cl_client.models import TaskOutput, TaskParams
from cl_client.plugins.base import BasePluginClient

class BlurParams(TaskParams):
    amount: int = 1

class BlurOutput(TaskOutput):
    imported: list[str]

class BlurClient(BasePluginClient[BlurOutput, BlurParams]):
    task_type = "{module}"
"""
SPEC = """
from cl_client.local.tasks import TaskSpec

TASK = TaskSpec("{module}_task:run", "{module}:BlurParams", "output/blurred.jpg")
LIST = [TASK]
NO_PARAMS = TaskSpec("{module}_task:run", "{module}:Missing", "output/x")
OTHER_PARAMS = TaskSpec("{module}_task:run", "{module}:BlurClient", "output/x")
NO_MODULE = TaskSpec("no_such_module:run", "{module}:BlurParams", "output/x")
NO_PACKAGE = TaskSpec("no_such_package.task:run", "{module}:BlurParams", "output/x")
NO_FUNCTION = TaskSpec("{module}_task", "{module}:BlurParams", "output/x")
OBJECT = TaskSpec("{module}_task:run", TaskSpec, "output/x")
MODEL = TaskSpec("{module}_task:run", "{module}:BlurParams", "output/x", models=("blurrer",))
"""
TASK = """
import sys

def run(context):
    context.output_file.write_bytes(context.input_file.read_bytes() * context.params.amount)
    return {{"imported": sorted(name for name in sys.modules if name.startswith("{module}"))}}
"""


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstalledPackages]:
    with monkeypatch.context() as patch:
        yield InstalledPackages(tmp_path, patch)
    registered.cache_clear()


@pytest.fixture
def blur(packages: InstalledPackages) -> str:
    """A task of a package, in modules of this name that no other test has imported."""
    module = f"blur_{uuid4().hex}"
    modules = {module: CLIENT, f"{module}_spec": SPEC, f"{module}_task": TASK}
    points = {"cl_client.plugins": f"{module} = {module}:BlurClient", GROUP: f"{module} = {module}_spec:TASK"}
    packages.add(module, points, **{name: code.format(module=module) for name, code in modules.items()})
    return module


async def test_a_task_of_another_package_runs(blur: str) -> None:
    async with LocalServer(workers=1) as server, server.client() as client:
        assert blur in server.task_types
        assert {*TASKS} < {*server.settings.offered_tasks}
        await client.wait_for_workers([blur])
        job = await client.submit_job(blur, b"picture", {"amount": "2"}, {"wait": True})
        assert await client.read_job_file(job.job_id, "output/blurred.jpg") == b"picturepicture"
        assert job.output.model_dump()["imported"] == [blur, f"{blur}_task"]  # a worker needs no more
    assert f"{blur}_task" not in sys.modules  # and the server no function


async def test_a_task_that_returns_no_output(packages: InstalledPackages, blur: str) -> None:
    packages.add("forgetful", {}, **{f"{blur}_forgetful": "def run(context): pass"})
    task = TaskSpec(f"{blur}_forgetful:run", f"{blur}:BlurParams", "output/x")
    async with (
        LocalServer(workers=1, tasks=(), extra_tasks={blur: task}) as server,
        server.client() as client,
    ):
        job = await client.submit_job(blur, b"x", {}, {"wait": True})
    reason = f"TypeError: {blur}_forgetful:run returned NoneType instead of a dict"
    assert job.error_message == f"file: {blur} failed: {reason}"


@pytest.mark.parametrize("generation", ["A", "B"])
def test_on_servers_of_other_generations(blur: str, generation: str) -> None:
    server = LocalServer(generation="A" if generation == "A" else "B")
    assert server.settings.offered_tasks[blur].output_path == "output/blurred.jpg"


def test_which_tasks_are_offered(blur: str) -> None:
    assert {*LocalServer(third_party_tasks=False).settings.offered_tasks} == {*TASKS}
    assert [*LocalServer(tasks=["hash"]).settings.offered_tasks] == ["hash"]
    assert [*LocalServer(tasks=[blur, "hash"]).settings.offered_tasks] == [blur, "hash"]
    with pytest.raises(ValueError, match=f"Unknown tasks: {blur}; known tasks: clip_embedding, "):
        LocalServer(tasks=[blur], third_party_tasks=False)
    with pytest.raises(ValueError, match=f"Unknown tasks: blurr; known tasks: {blur}, clip_embedding, "):
        LocalServer(tasks=["blurr"])


def test_a_task_that_is_passed_replaces_one_of_another_package(blur: str) -> None:
    own = TaskSpec("own:run", "own:Params", "output/own")
    assert LocalServer(extra_tasks={blur: own}).settings.offered_tasks[blur] is own


@pytest.mark.parametrize("tasks", [["hash"], None])
def test_only_what_is_offered_is_imported(blur: str, tasks: list[str] | None) -> None:
    LocalServer(tasks=tasks)
    assert (f"{blur}_spec" in sys.modules) == (tasks is None)


UNFIT = [
    ("{0}_spec:Missing", " cannot be loaded: module '{0}_spec' has no attribute 'Missing': "),
    (
        "no_such_module:TASK",
        " cannot be loaded: No module named 'no_such_module': repair, update or uninstall",
    ),
    ("{0}_broken:TASK", " cannot be loaded: RuntimeError: no GPU: repair, update or uninstall bad"),
    ("{0}_spec:LIST", " is of type list: register a cl_client.local.TaskSpec, or uninstall bad"),
    ("{0}_spec", " is of type module: register a cl_client.local.TaskSpec, or uninstall bad"),
    ("{0}_spec:NO_PARAMS", " has params that cannot be loaded: module '{0}' has no attribute 'Missing': "),
    ("{0}_spec:OTHER_PARAMS", " has the params {0}:BlurClient: name a subclass of TaskParams, or "),
    ("{0}_spec:NO_MODULE", " has a function that cannot be loaded: No module named 'no_such_module': "),
    ("{0}_spec:NO_PACKAGE", " has a function that cannot be loaded: No module named 'no_such_package': "),
    ("{0}_spec:NO_FUNCTION", " has the function '{0}_task': write it as \"module:name\", or uninstall bad"),
    (
        "{0}_spec:OBJECT",
        " has the params <class 'cl_client.local.tasks.TaskSpec'>: write it as \"module:name\"",
    ),
]


@pytest.mark.parametrize(("value", "words"), UNFIT)
def test_a_broken_task_is_left_out_unless_it_is_asked_for(
    packages: InstalledPackages, blur: str, value: str, words: str
) -> None:
    point = value.format(blur)
    packages.add("bad", {GROUP: f"bad = {point}"}, **{f"{blur}_broken": "raise RuntimeError('no GPU')"})
    server = LocalServer()
    assert blur in server.settings.offered_tasks
    assert "bad" not in server.settings.offered_tasks
    expected = f"The task 'bad' of bad ({point}){words.format(blur)}"
    assert server.settings.unfit_tasks["bad"].startswith(expected)
    assert not LocalServer(tasks=["hash", blur]).settings.unfit_tasks
    with pytest.raises(ConfigurationError) as raised:
        LocalServer(tasks=["bad"])
    assert str(raised.value) == server.settings.unfit_tasks["bad"]


def test_a_task_that_the_server_has_itself(packages: InstalledPackages, blur: str) -> None:
    packages.add("bad", {GROUP: f"hash = {blur}_spec:TASK"})
    settings = LocalServer().settings
    for offered in (settings.offered_tasks, LocalServer(tasks=["hash"]).settings.offered_tasks):
        assert offered["hash"] is TASKS["hash"]
    assert settings.unfit_tasks == {
        "hash": f"The task 'hash' of bad ({blur}_spec:TASK) has the name of a task that the server "
        "itself has: rename it, or uninstall bad"
    }


def test_a_task_of_two_packages(packages: InstalledPackages, blur: str) -> None:
    for name in ("one", "two"):
        packages.add(name, {GROUP: f"sharpen = {blur}_spec:TASK"})
    settings = LocalServer().settings
    assert blur in settings.offered_tasks
    assert settings.unfit_tasks == {
        "sharpen": "Several packages register the task 'sharpen': one, two; uninstall all but one"
    }


@pytest.mark.parametrize("name", ["a/b", "a-b", "a b", "2a"])
def test_names_that_no_task_can_have(packages: InstalledPackages, blur: str, name: str) -> None:
    packages.add("bad", {GROUP: f"{name} = {blur}_spec:TASK"})
    assert "has an invalid name: use letters, digits and _, or" in LocalServer().settings.unfit_tasks[name]


def test_a_task_with_a_model_of_its_own(packages: InstalledPackages, blur: str, tmp_path: Path) -> None:
    packages.add("modelled", {GROUP: f"modelled = {blur}_spec:MODEL"})
    assert (
        LocalServer()
        .settings.unfit_tasks["modelled"]
        .endswith(
            "needs the models blurrer: pass their files to LocalServer as models, or uninstall modelled"
        )
    )
    settings = LocalServer(models={"blurrer": tmp_path / "blurrer.onnx"}).settings
    assert settings.offered_tasks["modelled"].models == ("blurrer",)
    assert "modelled" not in settings.available_tasks()


async def test_a_server_says_at_its_start_what_it_does_not_offer(
    packages: InstalledPackages, caplog: pytest.LogCaptureFixture
) -> None:
    packages.add(
        "bad", {GROUP: "bad = no_such_module:TASK", "cl_client.plugins": "bad = no_such_module:Client"}
    )
    with caplog.at_level(logging.WARNING, "cl_client.local"), LocalServer(workers=1) as server:
        async with server.client() as client:
            assert "bad" not in server.task_types
            job = await client.hash.compute(b"others run", wait=True)
            assert isinstance(job.output, TaskOutput)
    [said] = [record.message for record in caplog.records if "no_such_module" in record.message]
    assert said.endswith("uninstall bad. Until then, the server does not offer it")


def test_a_package_with_two_plugins_of_a_task_does_not_disturb_others(
    packages: InstalledPackages, blur: str
) -> None:
    from cl_client import ComputeClient

    for name in ("one", "two"):
        packages.add(name, {"cl_client.plugins": f"sharpen = {blur}:BlurClient"})
    client = ComputeClient()
    assert client.plugin(blur).task_type == blur
    with pytest.raises(ConfigurationError, match="Several packages register the plugin 'sharpen': one, two"):
        client.config.get_plugin_endpoint("sharpen")
    with pytest.raises(UnknownTaskError, match=f"Unknown task 'soften'; known tasks are: {blur}, clip_"):
        client.plugin("soften")
