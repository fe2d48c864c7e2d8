"""What docs/files-by-reference.md prints runs as printed, but for its folder."""

from __future__ import annotations

import re
import runpy
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, cast

from cl_client import ServerPath, ServerPathRefusedError
from cl_client.local import LocalServer
from cl_client.local.samples import draw_photo
from shares import photo_folder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from cl_client import JobResponse

PAGE = (Path(__file__).parents[2] / "docs" / "files-by-reference.md").read_text(encoding="utf-8")
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = photo_folder(tmp_path)
    draw_photo(folder / "a.jpg", size=(64, 48))
    program = tmp_path / "program.py"
    program.write_text(BLOCKS[0].replace("/photos", folder.as_posix()))
    runpy.run_path(str(program))
    assert capsys.readouterr().out == "EOS R5\n"


async def test_an_upload_where_a_reference_is_refused(tmp_path: Path) -> None:
    photo = photo_folder(tmp_path) / "a.jpg"
    with LocalServer(workers=1, shared=[photo.parent]) as server:
        async with server.client() as client:
            for path in (photo, tmp_path / "b.jpg"):
                path.write_bytes(photo.read_bytes())
                names: dict[str, object] = {"client": client, "photo": path}
                names["ServerPathRefusedError"] = ServerPathRefusedError
                block = "async def run():\n" + "".join(f"    {line}\n" for line in BLOCKS[1].splitlines())
                exec(f"{block}    return job", names)  # noqa: S102 - our own page
                run = cast("Callable[[], Awaitable[JobResponse]]", names["run"])
                job = await run()
                assert job.raise_for_status().params["input_path"] == ("" if path == photo else "input/b.jpg")


def test_paths_that_differ(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.jpg").write_bytes(b"123")
    names: dict[str, object] = {"Path": Path, "PurePosixPath": PurePosixPath, "ServerPath": ServerPath}
    exec(f"{BLOCKS[2].replace('/Volumes/photos', str(tmp_path))}\n", names)  # noqa: S102 - our own page
    on_the_nas = cast("Callable[[Path], ServerPath]", names["on_the_nas"])
    there = on_the_nas(tmp_path / "a" / "b.jpg")
    assert there == ServerPath("/volume1/photos/a/b.jpg", 3, ServerPath.of(tmp_path / "a" / "b.jpg").modified)


def test_the_contents() -> None:
    headings: list[str] = re.findall(r"^##+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([a-z-]+)\)", PAGE)) == anchors
