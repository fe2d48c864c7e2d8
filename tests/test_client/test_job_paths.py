"""Paths that a server names: what stays below a folder passes, nothing else."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cl_client._transfers.job_paths import checked_path, path_below_job, requestable_path


@pytest.mark.parametrize(
    "path",
    [
        "output/thumbnail.jpg",
        "file",
        "a/b/c/d.ts",
        "output/with space and %2e%2e.ts",
        "output/फूल 👨‍👩‍👧.jpg",
        "output/12:30.jpg",
        "output/.hidden",
        "output/..hidden",
        "output/a..b",
        "output/console.txt",
        "output/com10",
    ],
)
def test_what_stays_below_a_job(path: str) -> None:
    assert checked_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "//host/share/x",
        ".",
        "..",
        "../x",
        "output/../x",
        "output/..",
        "output/./x",
        "output/",
        "output//x",
        "output/.. /x",
        "output/x.",
        "output/x ",
        "..\\x",
        "output\\x",
        "\\\\host\\share\\x",
        "\\x",
        "C:",
        "C:x",
        "c:/x",
        "output/C:x",
        "http://host/x",
        "file:x",
        "data:video/mp2t,x",
        "x\0",
        "output/a\nb",
        "output/a\x7fb",
        "nul",
        "output/NUL.txt",
        "output/con .txt",
        "CONIN$",
        "output/Com1.ts",
        "lpt¹",
        "aux/x",
    ],
)
def test_what_could_leave_a_folder(path: str) -> None:
    with pytest.raises(ValueError, match="is not a path below a job"):
        checked_path(path)


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("output/adaptive.m3u8", "output/adaptive.m3u8"),
        ("/srv/cl_server/compute/jobs/f-1/output/adaptive.m3u8", "output/adaptive.m3u8"),
        ("D:\\cl\\jobs\\f-1\\output\\adaptive.m3u8", "output/adaptive.m3u8"),
        ("D:/cl/jobs/f-1/output\\adaptive.m3u8", "output/adaptive.m3u8"),
        ("\\\\nas\\share\\jobs\\f-1\\output\\a.ts", "output/a.ts"),
        ("\\\\?\\D:\\cl\\jobs\\f-1\\output\\a.ts", "output/a.ts"),
        ("//nas/share/jobs/f-1/output/a.ts", "output/a.ts"),
        ("data\\jobs\\f-1\\output\\a.ts", "output/a.ts"),
        ("jobs/f-1/faces/face_0.png", "faces/face_0.png"),
        ("./data/jobs/f-1/output/a.ts", "output/a.ts"),
        ("f-1/output/a.ts", "output/a.ts"),
        ("/srv/f-1/output/a.ts", "output/a.ts"),
        ("/srv/f-10/jobs/f-1/output/a.ts", "output/a.ts"),
        ("/srv/../srv/jobs/f-1/output/a.ts", "output/a.ts"),
        # the id twice: below a folder of jobs, it is that of a job
        ("/srv/jobs/f-1/output/f-1/a.ts", "output/f-1/a.ts"),
        ("/srv/f-1/jobs/f-1/output/a.ts", "output/a.ts"),
        ("/srv/f-1/output/f-1/a.ts", "output/f-1/a.ts"),
        ("output/f-1/a.ts", "output/f-1/a.ts"),
        ("/srv/my data/jobs/f-1/output/a b%20c.ts", "output/a b%20c.ts"),
        ("/srv/jobs/f-1/input/फूल 👨‍👩‍👧.jpg", "input/फूल 👨‍👩‍👧.jpg"),
    ],
)
def test_paths_of_a_server_are_reduced_to_their_part_below_the_job(path: str, below: str) -> None:
    assert path_below_job(path, "f-1") == requestable_path(path, "f-1") == below


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "/srv/jobs/other/output/a",
        "/srv/jobs/f-1/../x",
        "/srv/jobs/f-1",
        "/srv/jobs/f-1/",
        "/srv/f-1//x",
        "D:\\cl\\jobs\\f-1\\..\\x",
        "D:\\cl\\jobs\\other\\x",
        "D:/cl/x",
        "\\\\nas\\share\\x",
        "..\\x",
        "output\\..\\..\\x",
        "output/..",
        "./output/x",
        "http://host/jobs/f-1/files/output/x",
        "file:///srv/jobs/f-1/output/x",
        "output/a\0",
        "output/\ud800",
    ],
)
def test_paths_of_something_else(path: str) -> None:
    for reduced in (path_below_job, requestable_path):
        with pytest.raises(ValueError, match="is not a path below a job: "):
            reduced(path, "f-1")


@pytest.mark.parametrize(
    "path", ["input/nul.txt", "input/a\\b.jpg", "input/odd ", "input/a\nb", "C:x", "data:x"]
)
def test_a_file_of_any_name_can_be_requested(path: str) -> None:
    assert requestable_path(path, "f-1") == requestable_path(f"/srv/jobs/f-1/{path}", "f-1") == path
    with pytest.raises(ValueError, match="is not a path below a job: "):
        path_below_job(path, "f-1")


@given(path=st.text(), job_id=st.sampled_from(["f-1", "x"]))
def test_what_is_requested_stays_below_the_job(path: str, job_id: str) -> None:
    for named in (path, f"/srv/jobs/{job_id}/{path}"):
        with contextlib.suppress(ValueError):
            below = requestable_path(named, job_id)
            assert not {"", ".", ".."} & set(below.split("/"))
            assert below.encode()
