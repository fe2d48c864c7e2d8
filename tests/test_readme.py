"""What the README and docs/files.md print runs as printed."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import inspect
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from PIL import Image

from expected_hashes import expected_sha512

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType

    from cl_client import ComputeClient, JobResponse

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
FILES_PAGE = (Path(__file__).parent.parent / "docs" / "files.md").read_text(encoding="utf-8")
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", README + FILES_PAGE, re.DOTALL)


def compiled(block: str) -> CodeType:
    code = cast("object", compile(block, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
    return cast("CodeType", code)


async def run(block: str, names: dict[str, object]) -> dict[str, object]:
    result = cast("object", eval(compiled(block), names))  # noqa: S307 - our own README
    if inspect.isawaitable(result):
        await result
    return names


def block_with(text: str) -> str:
    [block] = [block for block in BLOCKS if text in block]
    return block


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_python(block: str) -> None:
    compiled(block)


async def test_the_local_server(capsys: pytest.CaptureFixture[str]) -> None:
    await run(block_with("async with LocalServer()"), {})
    assert capsys.readouterr().out == hashlib.sha512(b"any bytes").hexdigest() + "\n"


async def test_following(
    compute_client: ComputeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cl_client.local.samples import draw_photo

    monkeypatch.chdir(tmp_path)
    draw_photo(tmp_path / "photo.jpg", size=(64, 48))
    names = await run(block_with("watch_job"), {"client": compute_client})
    job: JobResponse = await compute_client.get_job(str(getattr(names["job"], "job_id", "")))
    assert job.status == "completed"


async def test_results(
    compute_client: ComputeClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from cl_client.local.samples import draw_photo

    monkeypatch.chdir(tmp_path)
    draw_photo(tmp_path / "photo.jpg", size=(64, 48))
    names: dict[str, object] = {"client": compute_client, "asyncio": asyncio}
    await run(block_with("TaskGroup"), names)
    hash_value, path, taken_at = capsys.readouterr().out.splitlines()
    assert hash_value == expected_sha512(tmp_path / "photo.jpg", "sha512_image")
    assert datetime.fromisoformat(taken_at)
    assert (tmp_path / path).is_file()
    draw_photo(tmp_path / "other.jpg", size=(64, 48))
    await run(block_with("media_thumbnail.map"), names)
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"other.jpg", "photo.jpg"}
    assert sorted(path.name for path in (tmp_path / "thumbnails").iterdir()) == ["other.jpg", "photo.jpg"]


async def test_files(
    compute_client: ComputeClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from cl_client.local.samples import draw_photo

    monkeypatch.chdir(tmp_path)
    draw_photo(tmp_path / "photo.jpg", size=(64, 48))
    size = (tmp_path / "photo.jpg").stat().st_size
    names = await run(block_with("open_job_file"), {"client": compute_client})
    assert capsys.readouterr().out.splitlines()[:2] == [f"{size} {size}"] * 2
    assert (tmp_path / "copies" / "photo.jpg").read_bytes() == (tmp_path / "photo.jpg").read_bytes()
    assert (tmp_path / "results" / "output" / "thumbnail.jpg").read_bytes() == names["content"]
    names = await run(block_with("UploadStream"), {"client": compute_client})
    assert getattr(names["job"], "status", None) == "completed"


async def test_logging_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Addresses replaced by a local server's; no keyring, and a home of the test's own."""
    from cl_client import ComputeClient
    from cl_client.local import LocalServer

    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    with LocalServer(workers=1, tasks=["hash"], auth=True) as server:
        for text in ("PasswordAuthProvider", "Session.login"):
            block = block_with(text).replace("http://localhost:8000", server.auth_url)
            block = block.replace("http://localhost:8002", server.base_url)
            await run(block, {"ComputeClient": ComputeClient})
    storage, who = capsys.readouterr().out.splitlines()
    assert (storage, who) == ("total_size=0 job_count=0", "admin healthy")


def test_the_first_program(run_python: Callable[[str], str], tmp_path: Path) -> None:
    """Its address replaced by a local server's, since nothing listens on the default port here."""
    program = block_with("asyncio.run(main())")
    assert 'ComputeClient("http://localhost:8002")' in program
    program = program.replace('"http://localhost:8002"', "server.base_url, mqtt_broker=server.mqtt_url")
    setup = (
        f"import os; os.chdir({str(tmp_path)!r})\n"
        "from pathlib import Path\n"
        "from cl_client.local import LocalServer\n"
        "from cl_client.local.samples import draw_photo\n"
        "draw_photo(Path('photo.jpg'), size=(64, 48))\n"
        "server = LocalServer()\nserver.start()\n"
    )
    said = run_python(
        setup + program.replace("from __future__ import annotations\n", "") + "\nserver.stop()\n"
    )
    assert "Traceback" not in said
    assert (tmp_path / "thumbnail.jpg").read_bytes()[:2] == b"\xff\xd8"


async def test_metadata_of_files(
    compute_client: ComputeClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from cl_client.local.samples import draw_photo

    monkeypatch.chdir(tmp_path)
    draw_photo(tmp_path / "photo.jpg", size=(64, 48), orientation=6)  # stored as 48 x 64
    await run(block_with("photo.display_width"), {"client": compute_client})
    fields, lens = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"2025-\d\d-\d\d \d\d:\d\d:\d\d\S* EOS R5 64 48", fields)
    assert lens.endswith(" ()")


async def test_losses_of_a_conversion(
    compute_client: ComputeClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = (Image.new("RGBA", (16, 16), (200, shade, 0, 128)) for shade in (0, 200))
    first.save("holiday.webp", save_all=True, append_images=[second], duration=100)
    block = block_with("holiday.webp")
    await run(block, {"client": compute_client})
    assert f"# {capsys.readouterr().out.strip()}" in block


def test_the_contents_of_the_page_on_files() -> None:
    headings: list[str] = re.findall(r"^##+ (.+)$", FILES_PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([a-z-]+)\)", FILES_PAGE)) == anchors
