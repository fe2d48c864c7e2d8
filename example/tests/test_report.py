"""The report: what is on it, that it stands alone, and that its search works in a browser."""

from __future__ import annotations

import base64
import math
import re
import shutil
import sqlite3
import subprocess
from collections import Counter
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from cl_client.local.models.catalog import MODELS
from cl_client_cli.report.entries import PictureFiles, ReportEntry, ReportResult
from cl_client_cli.report.page import Report, write_report
from cl_client_cli.report.thumbnails import thumbnail_of
from cl_client_cli.similar.ranking import most_similar_pairs, ranked, unit_rows
from small_models import save_clip_model

if TYPE_CHECKING:
    from cl_client import JSONObject
    from command_lines import RunCLI


EXIF: JSONObject = {"make": "Canon", "exposure_time": 0.004, "gps_latitude": 1, "gps_longitude": 2}
FACTS = ("Canon", "1/250 s", "1.0000, 2.0000")
FACE: JSONObject = {"bbox": {"x1": 0.1, "y1": 0.2, "x2": 0.5, "y2": 0.6}, "confidence": 0.9}


@pytest.fixture
def report(samples: Path, tmp_path: Path) -> Path:
    """A report on three files, of which one has failed and one is gone."""
    vectors = [tmp_path / "0.npy", tmp_path / "1.npy"]
    for number, file in enumerate(vectors):
        np.save(file, np.array([1, number / 10], dtype=np.float32))
    entries = [
        ReportEntry(
            "astronaut.jpg",
            samples / "astronaut.jpg",
            {
                "exif": ReportResult("", EXIF),
                "face_detection": ReportResult("1 face", {"faces": [FACE]}),
                "hash": ReportResult("", {"algorithm": "md5", "hash_value": "abc"}),
                "clip_embedding": ReportResult("", {}, vectors[0]),
            },
        ),
        ReportEntry(
            "folder/drawing.png",
            samples / "drawing.png",
            {
                "clip_embedding": ReportResult("", {}, vectors[1]),
                "media_thumbnail": ReportResult("32 x 24 pixels"),
            },
        ),
        ReportEntry(
            "<gone>.jpg", tmp_path / "<gone>.jpg", {"hash": ReportResult(error='no "file" & <b>more</b>')}
        ),
    ]
    path = tmp_path / "new" / "report.html"
    made_at, done = datetime(2026, 11, 24, tzinfo=UTC), Counter[str]()
    write_report(path, Report("A <title>", made_at, 3, lambda: entries), lambda: done.update(["card"]))
    assert done["card"] == 3
    return path


def test_the_report_has_everything_and_needs_nothing(report: Path) -> None:
    page = report.read_text()
    for words in (*FACTS, "<rect", "md5", "Most similar", "99.5 % by CLIP", "Failures"):
        assert words in page
    assert "&lt;gone&gt;.jpg" in page
    assert "<b>more" not in page
    assert len(re.findall('src="data:image/jpeg', page)) == 4
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "http" not in re.sub("http-equiv", "", page)
    assert "default-src 'none'" in page
    assert [path.name for path in report.parent.iterdir()] == [report.name]


def test_the_small_picture_at_the_start_of_a_raw_file_is_not_shown(tmp_path: Path) -> None:
    """Pillow opens it as a TIFF of that size; the thumbnail is of the photo."""
    raw, thumbnail = tmp_path / "DSC_0001.NEF", tmp_path / "thumbnail.jpg"
    Image.new("RGB", (16, 12), "red").save(raw, "TIFF")
    Image.new("RGB", (64, 48), "lime").save(thumbnail)
    shown = thumbnail_of(PictureFiles("DSC_0001.NEF", raw, thumbnail), 320)
    assert shown is not None
    assert (shown.width, shown.height) == (64, 48)
    assert thumbnail_of(PictureFiles("DSC_0001.NEF", raw, None), 320) is None


@pytest.mark.parametrize(
    ("size", "saved_size", "shown"),
    [
        ((400, 300), (256, 192), "lime"),
        ((300, 400), (256, 192), "lime"),  # the source lies on its side
        ((401, 300), (256, 191), "lime"),
        ((80, 60), (80, 60), "lime"),  # no larger than its source
        ((400, 300), (128, 96), "red"),  # too small for the page
        ((400, 300), (200, 200), "red"),  # not the shape of the picture
    ],
)
def test_a_saved_thumbnail_is_shown_if_it_shows_as_much_as_the_picture(
    tmp_path: Path, size: tuple[int, int], saved_size: tuple[int, int], shown: str
) -> None:
    source, saved = tmp_path / "photo.png", tmp_path / "photo.thumbnail.jpg"
    Image.new("RGB", size, "red").save(source)
    Image.new("RGB", saved_size, "lime").save(saved, quality=100)
    found = thumbnail_of(PictureFiles("photo.png", source, saved), 160)
    assert found is not None
    with Image.open(BytesIO(base64.b64decode(found.uri.partition(",")[2]))) as picture:
        assert picture.size == (found.width, found.height)
        assert max(picture.size) == min(160, max(size))
        pixel = picture.convert("RGB").getpixel((9, 9))
    assert isinstance(pixel, tuple)
    assert (pixel[1] > pixel[0]) == (shown == "lime")


def test_a_damaged_saved_thumbnail_is_not_shown(tmp_path: Path) -> None:
    source, saved = tmp_path / "photo.png", tmp_path / "photo.thumbnail.png"
    Image.new("RGB", (400, 300), "red").save(source)
    Image.new("RGB", (256, 192), "lime").save(saved)
    saved.write_bytes(saved.read_bytes()[:60])
    found = thumbnail_of(PictureFiles("photo.png", source, saved), 160)
    assert found is not None
    assert (found.width, found.height) == (160, 120)


def test_a_damaged_picture_or_embedding_spoils_nothing(tmp_path: Path) -> None:
    damaged, vector, page = tmp_path / "damaged.png", tmp_path / "nothing.npy", tmp_path / "r.html"
    Image.new("RGB", (8, 8)).save(damaged, exif=b"Exif\x00\x00XX*\x00\x08\x00\x00\x00")
    np.save(vector, np.array([math.nan, 1], dtype=np.float32))
    results = {
        "clip_embedding": ReportResult("", {}, vector),
        "exif": ReportResult("", {"make": "Canon", "model": "Canon EOS"}),
    }
    entries = [ReportEntry(name, damaged, results) for name in ("a.png", "b.png")]
    made_at = datetime(2026, 11, 24, tzinfo=UTC)
    write_report(page, Report("It", made_at, 2, lambda: entries), lambda: None)
    text = page.read_text()
    assert text.count("no preview") == 2
    assert "Most similar" not in text
    assert "<dd>Canon EOS</dd>" in text


def in_browser(report: Path, query: str = "") -> str:
    """The page as a browser has it after its scripts."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("chromium is not installed")
    address = f"{report.as_uri()}#q={query.replace(' ', '%20')}"
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=10000", "--dump-dom")
    command = [browser, *options, address]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout  # noqa: S603 - the browser


def cards_seen(page: str) -> tuple[int, int]:
    """How many cards are shown, and how many there are."""
    cards = page.split("<article")[1:]
    return sum(' hidden=""' not in card.partition(">\n")[0] for card in cards), len(cards)


@pytest.mark.parametrize(("query", "seen"), [("canon", 1), ("", 3), ("nothing such", 0), ("GONE file", 1)])
def test_the_search_in_a_browser(report: Path, query: str, seen: int) -> None:
    page = in_browser(report, query)
    assert cards_seen(page) == (seen, 3)
    assert (f"{seen} of 3 files" if query else "3 files") in page


@pytest.mark.parametrize(("query", "seen"), [("photo-24", 11), ("", 250), ("failed today", 1)])
def test_a_browser_has_all_cards_of_a_large_report_in_order(tmp_path: Path, query: str, seen: int) -> None:
    names = [f"photo-{number}.jpg" for number in range(250)]
    results = {names[240]: {"hash": ReportResult(error="failed today")}}
    entries = [ReportEntry(name, tmp_path / name, results.get(name, {})) for name in names]
    page, made_at = tmp_path / "r.html", datetime(2026, 11, 24, tzinfo=UTC)
    write_report(page, Report("It", made_at, 250, lambda: entries), lambda: None)
    shown = in_browser(page, query)
    assert cards_seen(shown) == (seen, 250)
    assert re.findall("<h3>(.*?)</h3>", shown) == names
    assert "<template" not in shown
    assert (f"{seen} of 250 files" if query else "250 files") in shown


def test_pairs_across_blocks() -> None:
    angles = [number * 3 / 1299 for number in range(1300)]
    rows = unit_rows([np.array([math.cos(a), math.sin(a)], dtype=np.float32) for a in angles])
    rows[1250] = rows[3]
    best = most_similar_pairs(rows, 2)
    assert (best[0].first, best[0].second) == (3, 1250)
    assert best[0].similarity == pytest.approx(1.0, abs=1e-6)
    fifth = unit_rows([np.array([math.cos(angles[5]), math.sin(angles[5])], dtype=np.float32)]).reshape(-1)
    assert [at for at, _ in ranked(fifth, rows)[:1]] == [5]
    assert not most_similar_pairs(rows[:1], 5)


@pytest.mark.usefixtures("at_server")
def test_similar(run_cli: RunCLI, samples: Path, work_folder: Path) -> None:
    (work_folder / "bad.jpg").write_bytes(b"not a picture")
    twin = work_folder / "twin.jpg"
    shutil.copy(samples / "astronaut.jpg", twin)
    shown = run_cli("similar", samples / "astronaut.jpg", samples, twin, "bad.jpg", "--limit", "3")
    assert shown.returncode == 1
    assert "bad.jpg" in shown.stderr
    assert "100.0%" in shown.stdout.splitlines()[3]
    assert "twin.jpg" in shown.stdout.splitlines()[3]
    jobs = run_cli("jobs", "list", "--task", "clip-embedding", "--json").stdout
    again = run_cli("similar", samples / "astronaut.jpg", samples, "--json", "-v")
    assert again.returncode == 0
    assert '"rank":1' in again.stdout
    # Everything had been embedded before.
    assert run_cli("jobs", "list", "--task", "clip-embedding", "--json").stdout == jobs
    assert "No other photos to compare with" in run_cli("similar", twin, twin).stderr
    piped = run_cli("similar", "-", twin, stdin="not a picture either")
    assert piped.returncode == 1
    assert "cl-client: -: clip_embedding failed" in piped.stderr


def test_similar_at_local_servers(
    run_cli: RunCLI, samples: Path, tmp_path: Path, cli_environment: dict[str, str]
) -> None:
    """Each is at another address, and the embeddings of one are good for the next all the same."""
    folder = tmp_path / "models"
    cli_environment["CL_CLIENT_MODELS"] = str(folder)
    command = ("similar", samples / "astronaut.jpg", samples, "--local")
    without = run_cli(*command)
    assert without.returncode == 1
    first, *others = [line for line in without.stderr.splitlines() if " failed: " in line]
    assert "models pull" in first
    assert len(others) > 2
    assert {line.partition(" failed: ")[2] for line in others} == {f"same reason as {first.split(': ')[1]}"}
    folder.mkdir()
    save_clip_model(folder / MODELS["mobileclip"].file_name)
    first = run_cli(*command)
    assert first.returncode == 0, first.stderr
    kept = sqlite3.connect(Path(cli_environment["CL_CLIENT_CACHE_DIR"]) / "embeddings.sqlite")
    rows = kept.execute("SELECT * FROM embeddings").fetchall()
    assert rows
    second = run_cli(*command)
    assert second.stdout == first.stdout
    assert kept.execute("SELECT * FROM embeddings").fetchall() == rows
    # Half a number is none, and one of another length is of another model.
    with kept:
        kept.execute("UPDATE embeddings SET vector = substr(vector, 1, 6) WHERE digest = ?", (rows[0][2],))
        kept.execute("UPDATE embeddings SET vector = substr(vector, 1, 8) WHERE digest = ?", (rows[1][2],))
    mended = run_cli(*command)
    assert (mended.returncode, mended.stdout) == (0, first.stdout), mended.stderr
    assert "come from another model: computing all of them again" in mended.stderr
    assert kept.execute("SELECT * FROM embeddings").fetchall() == rows
    kept.close()
