"""Parameters that all plugins and waits share: checked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from cl_client import ComputeClient, InvalidParameterError, WorkerUnavailableError, plugins
from cl_client.testing import StubServer, http_response

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client import TaskOutput
    from cl_client.options import MapOptions, SubmitOptions
    from cl_client.plugins.hash import HashOutput


@pytest.fixture
def client() -> ComputeClient:
    """Nothing listens there; what is sent would fail with another error."""
    return ComputeClient("http://127.0.0.1:1", mqtt_broker="off")


@pytest.mark.parametrize("task", plugins.PLUGINS)
@pytest.mark.parametrize("priority", [-1, 11, True, 2.5, "5", None, float("nan")])
async def test_priorities_out_of_range(client: ComputeClient, task: str, priority: object) -> None:
    plugin = client.plugin(task)
    made = plugin.params(plugin.params_model, **({"format": "png"} if task == "image_conversion" else {}))
    with pytest.raises(InvalidParameterError, match=f"^{task}: priority={priority!r}: must be 0-10"):
        await plugin.submit(b"x", made, priority=cast("int", priority))
    await client.close()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"poll_interval": 0}, r"poll_interval=0: must be a number of seconds, at least 0\.01"),
        ({"poll_interval": -1.0}, "poll_interval=-1"),
        ({"poll_interval": 1e-9}, "poll_interval=1e-09"),
        ({"poll_interval": float("nan")}, "poll_interval=nan"),
        ({"timeout": float("nan")}, "timeout=nan: must be a number of seconds"),
        ({"timeout": "3"}, "timeout='3'"),
        ({"timeout": True}, "timeout=True"),
    ],
)
async def test_seconds_that_are_none(client: ComputeClient, values: dict[str, float], reason: str) -> None:
    with pytest.raises(InvalidParameterError, match=reason):
        await client.wait_for_job(
            "j", poll_interval=values.get("poll_interval"), timeout=values.get("timeout")
        )
    if "timeout" in values:
        with pytest.raises(InvalidParameterError, match=reason):
            await client.wait_for_workers(["hash"], values["timeout"])
        with pytest.raises(InvalidParameterError, match="timeout="):
            await client.read_job_file("j", "a", timeout=values["timeout"])
    await client.close()


async def test_one_name_is_not_taken_for_its_letters(tmp_path: Path) -> None:
    server = StubServer(files={"": http_response("503 Busy"), "a": http_response("200 OK", "content")})
    async with server.running(max_retries=0) as client:
        with pytest.raises(WorkerUnavailableError) as caught:
            await client.wait_for_workers("hash", timeout=0)
        assert caught.value.missing == ("hash",)
        assert await client.download_job_files("j", "output/a", tmp_path) == [tmp_path / "output" / "a"]


async def test_an_option_that_does_not_exist(client: ComputeClient) -> None:
    misspelt = cast("MapOptions[HashOutput]", {"timeuot": 3.0})
    with pytest.raises(InvalidParameterError, match="unknown option 'timeuot'; did you mean 'timeout'"):
        await client.hash.compute(b"x", **misspelt)
    with pytest.raises(InvalidParameterError, match="did you mean 'timeout'"):
        client.hash.map([b"x"], **misspelt)
    with pytest.raises(InvalidParameterError, match="'wait'; use one of: delete_on_cancel, on_complete"):
        client.hash.map([b"x"], **cast("MapOptions[HashOutput]", {"wait": True}))
    with pytest.raises(InvalidParameterError, match="'xyz'; use one of: "):
        await client.submit_job("hash", b"x", {}, cast("SubmitOptions[TaskOutput]", {"xyz": True}))
    await client.close()
