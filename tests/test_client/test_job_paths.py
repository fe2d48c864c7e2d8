"""Paths that a server names: what stays below a folder passes, nothing else."""

from __future__ import annotations

import pytest

from cl_client._transfers.job_paths import checked_path, path_below_job


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
        ("jobs/f-1/faces/face_0.png", "faces/face_0.png"),
    ],
)
def test_absolute_paths_are_reduced_to_their_part_below_the_job(path: str, below: str) -> None:
    assert path_below_job(path, "f-1") == below


@pytest.mark.parametrize(
    "path", ["/srv/jobs/other/output/a", "/srv/jobs/f-1/../x", "/srv/jobs/f-1", "/srv/f-1//x"]
)
def test_absolute_paths_of_something_else(path: str) -> None:
    with pytest.raises(ValueError, match="is not a path below a job"):
        path_below_job(path, "f-1")
