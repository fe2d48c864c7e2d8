"""Many files of a job at once: all of them, or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cl_client import ComputeClient, InvalidParameterError, JobFileNotFoundError, JobFilesError
from written_files_task import script

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def test_files_keep_their_folders(
    writing_client: ComputeClient, tmp_path: Path, names_below: Callable[[Path], set[str]]
) -> None:
    files = {"output/a/1.txt": b"1", "output/b.txt": b"2"}
    job = await writing_client.hash.compute(script(files), wait=True)
    paths = await writing_client.download_job_files(job.job_id, files, tmp_path / "all")
    assert paths == [tmp_path / "all/output/a/1.txt", tmp_path / "all/output/b.txt"]
    paths = await writing_client.download_job_files(
        job.job_id, (*files, "output/b.txt"), tmp_path / "below", relative_to="output", concurrency=1
    )
    assert names_below(tmp_path / "below") == {"a", "a/1.txt", "b.txt"}
    assert await writing_client.download_job_files(job.job_id, [], tmp_path / "none") == []


async def test_one_failure_removes_what_was_there_already(
    writing_client: ComputeClient, tmp_path: Path, names_below: Callable[[Path], set[str]]
) -> None:
    job = await writing_client.hash.compute(script({"output/1": b"1", "output/2": b"2"}), wait=True)
    (tmp_path / "output" / "2").mkdir(parents=True)
    with pytest.raises(OSError, match="2"):
        await writing_client.download_job_files(job.job_id, ["output/1", "output/2"], tmp_path)
    assert names_below(tmp_path) == {"output", "output/2"}


async def test_a_link_does_not_lead_files_out_of_the_folder(
    writing_client: ComputeClient, tmp_path: Path, names_below: Callable[[Path], set[str]]
) -> None:
    job = await writing_client.hash.compute(script({"output/1": b"1"}), wait=True)
    (tmp_path / "outside").mkdir()
    folder = tmp_path / "inside"
    folder.mkdir()
    try:
        (folder / "output").symlink_to(tmp_path / "outside", target_is_directory=True)
    except OSError as exc:
        pytest.skip(f"no links here: {exc}")
    with pytest.raises(InvalidParameterError, match="a symbolic link leads out of"):
        await writing_client.download_job_files(job.job_id, ["output/1"], folder)
    assert names_below(tmp_path / "outside") == set()
    assert names_below(folder) == {"output"}


ODD = "output/फूल a%20b + c&d=#?;.ts"
"""The path of a file that has to be quoted in a URL."""


@pytest.mark.parametrize(
    "named",
    [
        "{job_folder}/{path}",
        "/mnt/moved/jobs/{job_id}/{path}",
        "/srv/{job_id}/jobs/{job_id}/{path}",
        "data/jobs/{job_id}/{path}",
        "D:\\cl server\\jobs\\{job_id}\\{path}",
        "\\\\nas\\share\\jobs\\{job_id}\\{path}",
    ],
)
async def test_a_path_that_a_server_names_can_be_given_as_it_is(
    writing_client: ComputeClient, tmp_path: Path, named: str, names_below: Callable[[Path], set[str]]
) -> None:
    content = script({ODD: b"odd"}, {"job_folder": "{job_folder}"})
    job = await writing_client.hash.compute(content, wait=True)
    folder = str((job.task_output or {})["job_folder"])
    slash = "\\" if "\\" in named else "/"
    path = named.format(job_folder=folder, job_id=job.job_id, path=ODD.replace("/", slash))
    assert await writing_client.read_job_file(job.job_id, path) == b"odd"
    async with writing_client.open_job_file(job.job_id, path) as stream:
        assert b"".join([chunk async for chunk in stream]) == b"odd"
    (tmp_path / "one").mkdir()
    one = await writing_client.download_job_file(job.job_id, path, tmp_path / "one")
    assert (one, one.read_bytes()) == (tmp_path / "one" / ODD.removeprefix("output/"), b"odd")
    many = await writing_client.download_job_files(job.job_id, [path, ODD], tmp_path / "many")
    assert many == [tmp_path / "many" / ODD]
    for relative_to in (path.rpartition(slash)[0], "output", "output/", "./output"):
        below = await writing_client.download_job_files(
            job.job_id, path, tmp_path / "below", relative_to=relative_to
        )
        assert below == [tmp_path / "below" / ODD.removeprefix("output/")]
    assert await writing_client.download_job_files(
        job.job_id, path, tmp_path / "many", relative_to=path.removesuffix(ODD.replace("/", slash))
    ) == [tmp_path / "many" / ODD]
    assert names_below(tmp_path / "many") == {"output", ODD}


async def test_a_missing_file_is_named_by_its_path_below_the_job(
    writing_client: ComputeClient, tmp_path: Path
) -> None:
    job = await writing_client.hash.compute(script(), wait=True)
    named = f"/srv/jobs/{job.job_id}/output/none"
    with pytest.raises(JobFileNotFoundError, match="output/none"):
        await writing_client.read_job_file(job.job_id, named)
    with pytest.raises(JobFilesError) as caught:
        await writing_client.download_job_files(job.job_id, [named], tmp_path)
    assert caught.value.failures.keys() == {"output/none"}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "output/../../x",
        "output//x",
        "./x",
        "x/",
        "a\0",
        "/srv/jobs/other/output/x",
        "/srv/jobs/j/../other/x",
        "/srv/jobs/j",
        "D:\\jobs\\j\\..\\x",
        "D:\\Windows\\x",
        "output\\..\\..\\x",
        "http://host/jobs/j/files/x",
        "output/\ud800",
    ],
)
async def test_a_path_that_leads_out_of_the_job_is_not_asked_for(
    path: str, tmp_path: Path, names_below: Callable[[Path], set[str]]
) -> None:
    async with ComputeClient("http://127.0.0.1:1", mqtt_broker="off") as client:
        with pytest.raises(InvalidParameterError, match="not a path below a job"):
            await client.read_job_file("j", path)
        with pytest.raises(InvalidParameterError, match="not a path below a job"):
            await client.download_job_file("j", path, tmp_path / "file")
        with pytest.raises(InvalidParameterError, match="not a path below a job"):
            async with client.open_job_file("j", path):
                pass
        with pytest.raises(InvalidParameterError, match="not a path below a job"):
            await client.download_job_files("j", ["output/fine", path], tmp_path)
    assert names_below(tmp_path) == set()


async def test_what_cannot_be_downloaded_together(
    tmp_path: Path, names_below: Callable[[Path], set[str]]
) -> None:
    async with ComputeClient("http://127.0.0.1:1", mqtt_broker="off", pool_maxsize=5, pool_size=1) as client:
        for concurrency in (0, -1, 6):
            with pytest.raises(InvalidParameterError, match="must be 1-5"):
                await client.download_job_files("j", ["output/a"], tmp_path, concurrency=concurrency)
        for relative_to in ("input", "output/a", "/srv/jobs/j/output/a"):
            with pytest.raises(InvalidParameterError, match=r"relative|not in the subpath"):
                await client.download_job_files("j", ["output/a"], tmp_path, relative_to=relative_to)
    assert names_below(tmp_path) == set()
