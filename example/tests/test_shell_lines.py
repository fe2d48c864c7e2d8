"""Lines as they are typed into a shell, with patterns that the shell expands."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
from pydantic import TypeAdapter

from cl_client import JSONObject
from patience import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from cl_client.testing import HeldJob


Type: TypeAlias = "Callable[..., subprocess.CompletedProcess[str]]"

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell"),
    pytest.mark.usefixtures("at_server"),
]


@pytest.fixture
def type_in(work_folder: Path, samples: Path, cli_environment: dict[str, str]) -> Type:
    """Types a line in a folder with two photos."""
    for source, name in zip(sorted(samples.glob("*.jpg")), ("photo.jpg", "second photo.jpg"), strict=False):
        shutil.copy(source, work_folder / name)
    folder = Path(sys.executable).parent

    def run(line: str, exit_code: int = 0) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(  # noqa: S602 - the shell is the point
            line,
            shell=True,
            cwd=work_folder,
            env={**cli_environment, "PATH": f"{folder}{os.pathsep}{cli_environment['PATH']}"},
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=False,
        )
        assert ended.returncode == exit_code, ended.stderr
        return ended

    return run


def test_embeddings_of_many_files_in_a_folder(type_in: Type, work_folder: Path) -> None:
    type_in("cl-client clip-embedding embed *.jpg --output-dir embeddings/")
    names = {path.name for path in (work_folder / "embeddings").iterdir()}
    assert names == {"photo.clip.npy", "second photo.clip.npy"}
    assert (work_folder / "embeddings" / "photo.clip.npy").read_bytes().startswith(b"\x93NUMPY")


def test_a_settings_file_before_the_command(
    type_in: Type, work_folder: Path, cli_environment: dict[str, str]
) -> None:
    url, broker = (cli_environment.pop(name) for name in ("COMPUTE_SERVER_URL", "MQTT_BROKER_HOST"))
    (work_folder / "config.yaml").write_text(f"base_url: {url}\nmqtt_broker: {broker}\n")
    before = type_in("cl-client --config config.yaml --json clip-embedding embed photo.jpg").stdout
    behind = type_in("cl-client clip-embedding embed photo.jpg --config config.yaml --json").stdout
    outputs = [TypeAdapter(JSONObject).validate_json(text)["output"] for text in (before, behind)]
    assert outputs[0] == outputs[1]


def test_a_batch_of_a_specification(type_in: Type, work_folder: Path) -> None:
    jobs = [{"input": "photo.jpg", "task": "hash"}, {"input": "second photo.jpg", "task": "media-thumbnail"}]
    (work_folder / "jobs.json").write_text(json.dumps(jobs))
    assert "2 done" in type_in("cl-client batch submit jobs.json").stderr
    assert "2 already done before" in type_in("cl-client batch resume").stderr


def test_jobs_that_have_completed_are_listed_and_shown(type_in: Type) -> None:
    job_id = type_in("cl-client hash compute photo.jpg --no-wait").stdout.strip()
    type_in(f"cl-client jobs wait {job_id}")
    assert job_id[:8] in type_in("cl-client jobs list --status completed").stdout
    assert type_in("cl-client jobs list --status failed").stdout == ""
    assert "completed" in type_in(f"cl-client jobs get {job_id}").stdout


async def test_a_queued_job_is_cancelled(type_in: Type, held_worker: HeldJob) -> None:
    def type_lines() -> None:
        job_id = type_in("cl-client hash compute photo.jpg --no-wait").stdout.strip()
        assert "queued" in type_in(f"cl-client jobs get {job_id}").stdout
        type_in(f"cl-client jobs cancel {job_id}")
        assert "404" in type_in(f"cl-client jobs get {job_id}", exit_code=1).stderr

    await asyncio.to_thread(type_lines)
    held_worker.release()
