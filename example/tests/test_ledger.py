"""The ledger and the databases under it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import pytest

from cl_client import ConfigurationError, JobResponse
from cl_client_cli.database import StorageError, open_database
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.jobs.ledger_entry import FORGOTTEN
from cl_client_cli.jobs.relative_times import ago, parse_time
from cl_client_cli.similar.embedding_cache import EmbeddingCache

if TYPE_CHECKING:
    from pathlib import Path

SERVER = "http://server:8002"
WRITER = """
import sys
from pathlib import Path
from cl_client import JobResponse
from cl_client_cli.jobs.ledger import Ledger

with Ledger.open(Path(sys.argv[1])) as ledger:
    for number in range(200):
        job = JobResponse.model_validate(
            {"job_id": f"{sys.argv[2]}-{number}", "task_type": "hash", "status": "queued"}
        )
        ledger.submitted(job, server="s", source="f", params={}, target=None)
"""
FIRST_SCHEMA = """
CREATE TABLE jobs (
    server TEXT NOT NULL,
    job_id TEXT NOT NULL,
    task TEXT NOT NULL,
    source TEXT NOT NULL,
    source_size INTEGER,
    source_mtime_ns INTEGER,
    params TEXT NOT NULL,
    target TEXT,
    status TEXT NOT NULL,
    progress INTEGER NOT NULL,
    error TEXT,
    submitted_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    ended_at REAL,
    PRIMARY KEY (server, job_id)
);
CREATE INDEX jobs_by_time ON jobs (submitted_at);
CREATE INDEX jobs_by_target ON jobs (target, submitted_at)
"""


def _job(job_id: str, status: str = "queued") -> JobResponse:
    return JobResponse.model_validate({"job_id": job_id, "task_type": "hash", "status": status})


def test_a_job_is_followed_through_the_ledger(tmp_path: Path) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "a.json"
    source.write_bytes(b"12345")
    with Ledger.open(tmp_path / "jobs.sqlite") as ledger:
        ledger.submitted(
            _job("one"), server=SERVER, source=str(source), params={"algorithm": "md5"}, target=target
        )
        ledger.submitted(_job("other"), server=SERVER, source="gone.jpg", params={}, target=None)
        assert [it.job_id for it in ledger.running(SERVER)] == ["other", "one"]
        assert [it.job_id for it in ledger.running(SERVER, limit=1)] == ["other"]
        assert not ledger.running("elsewhere")
        ledger.updated(_job("one", "completed"), server=SERVER)
        assert [it.job_id for it in ledger.running(SERVER)] == ["other"]
        assert ledger.result_of(target) is None  # it was not fetched
        ledger.ended(_job("one", "completed"), server=SERVER, kept=False)
        assert ledger.result_of(target) is None
        ledger.ended(_job("one", "completed"), server=SERVER, kept=True)
        found = ledger.result_of(target)
        assert found is not None
        assert (found.source_size, found.params, found.status) == (5, {"algorithm": "md5"}, "completed")
        assert found.ended_at is not None
        ledger.forgotten("other", server=SERVER)
        (forgotten,) = ledger.entries(status=FORGOTTEN)
        assert (forgotten.job_id, forgotten.source_size) == ("other", None)
        assert [it.job_id for it in ledger.entries(server=SERVER, task="hash", limit=1)] == ["other"]
        assert not ledger.entries(server="elsewhere")
        assert not ledger.entries(since=datetime.now(UTC) + timedelta(hours=1))
        assert (ledger.count(), ledger.count(task="hash", status=FORGOTTEN)) == (2, 1)
        assert (ledger.find("on", server=SERVER), ledger.find("on", server="elsewhere")) == (["one"], [])


def test_the_maker_of_a_result_is_the_last_that_wrote_it(tmp_path: Path) -> None:
    target = tmp_path / "a.json"
    with Ledger.open(tmp_path / "jobs.sqlite") as ledger:
        for job_id in ("first", "second", "unfetched"):
            ledger.submitted(_job(job_id), server=SERVER, source="a", params={}, target=target)
        for job_id in ("second", "first"):
            ledger.ended(_job(job_id, "completed"), server=SERVER, kept=True)
        ledger.updated(_job("unfetched", "completed"), server=SERVER)
        ledger.updated(_job("first", "deleted"), server=SERVER)
        found = ledger.result_of(target)
    assert found is not None
    assert (found.job_id, found.status) == ("first", "deleted")


def test_what_comes_too_late_changes_no_job_that_has_ended(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "jobs.sqlite") as ledger:

        def status(*states: str) -> tuple[str, bool]:
            ledger.submitted(_job("it"), server=SERVER, source="a", params={}, target=None)
            for state in states:
                if state == FORGOTTEN:
                    ledger.forgotten("it", server=SERVER)
                else:
                    ledger.updated(_job("it", state), server=SERVER)
            (entry,) = ledger.entries()
            return entry.status, entry.ended_at is None

        assert status("completed", "processing") == ("completed", False)
        assert status("completed", "deleted", "completed") == ("deleted", False)
        assert status("deleted", FORGOTTEN) == ("deleted", False)
        assert status("completed", FORGOTTEN) == (FORGOTTEN, False)
        # Whatever answered "404" was not the server.
        assert status(FORGOTTEN, "processing") == ("processing", True)
        assert status(FORGOTTEN, "completed") == ("completed", False)


def test_no_question_that_is_asked_often_reads_all_jobs(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    Ledger.open(path).__exit__()
    asked: list[str] = []
    with closing(sqlite3.connect(path)) as connection:
        connection.set_trace_callback(asked.append)
        ledger = Ledger(connection, path)
        ledger.running(SERVER, limit=50)
        ledger.result_of(path)
        ledger.entries(limit=50)
        connection.set_trace_callback(None)
        plans = [
            cast("list[tuple[object, ...]]", connection.execute(f"EXPLAIN QUERY PLAN {it}").fetchall())
            for it in asked
        ]
    steps = [str(step[3]) for plan in plans for step in plan]  # each has one: none sorts
    indexes = [step.partition(" USING INDEX ")[2].split(" ")[0] for step in steps]
    assert indexes == ["jobs_running", "jobs_by_target", "jobs_by_time"]


def test_old_jobs_go(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    ago_1h, in_1h = now - timedelta(hours=1), now + timedelta(hours=1)
    with Ledger.open(tmp_path / "jobs.sqlite") as ledger:
        for job_id, state in (("ended", "failed"), ("runs", "processing")):
            ledger.submitted(_job(job_id), server=SERVER, source="a", params={}, target=None)
            ledger.updated(_job(job_id, state), server=SERVER)
        assert ledger.prune(ended_before=ago_1h, unheard_of_since=ago_1h) == 0
        assert ledger.prune(ended_before=in_1h, unheard_of_since=ago_1h) == 1
        assert [it.job_id for it in ledger.entries()] == ["runs"]
        assert ledger.prune(ended_before=ago_1h, unheard_of_since=in_1h) == 1


def test_a_ledger_of_the_first_version_is_taken_over(tmp_path: Path) -> None:
    old, new, target = tmp_path / "old.sqlite", tmp_path / "new.sqlite", tmp_path / "a.json"
    with closing(open_database(old, FIRST_SCHEMA, 1)) as connection:
        for job_id, status in (("done", "completed"), ("runs", "queued")):
            row = (SERVER, job_id, "hash", "a", 1, 2, "{}", str(target), status, 0, None, 3.0, 4.0)
            ended_at = 5.0 if status == "completed" else None
            connection.execute(f"INSERT INTO jobs VALUES ({','.join('?' * 14)})", (*row, ended_at))  # noqa: S608 - question marks
    for _ in range(2):
        with Ledger.open(old) as ledger:
            found = ledger.result_of(target)
            assert found is not None
            assert (found.job_id, found.kept_at, len(ledger.entries())) == ("done", 5.0, 2)
    with Ledger.open(new):
        assert _layout(old) == _layout(new)


def _layout(path: Path) -> list[tuple[object, ...]]:
    """The columns of the jobs, and all indexes."""
    with closing(sqlite3.connect(path)) as connection:
        columns = cast("list[tuple[object, ...]]", connection.execute("PRAGMA table_info(jobs)").fetchall())
        indexes = cast(
            "list[tuple[object, ...]]",
            connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY 1"
            ).fetchall(),
        )
    assert len(columns) == 15
    assert len(indexes) == 4
    return columns + indexes


def test_processes_write_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(n)])  # noqa: S603 - our own code
        for n in range(3)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    with Ledger.open(path) as ledger:
        assert len(ledger.entries()) == 600


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_only_the_user_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "jobs.sqlite"
    with Ledger.open(path):
        assert path.stat().st_mode & 0o777 == 0o600


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.sqlite"
    damaged.write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigurationError, match="move it away"):
        Ledger.open(damaged)
    with Ledger.open(tmp_path / "edited.sqlite") as edited:
        edited.submitted(_job("one"), server=SERVER, source="a.jpg", params={}, target=None)
        with closing(sqlite3.connect(tmp_path / "edited.sqlite")) as connection, connection:
            connection.execute("UPDATE jobs SET params = 'no JSON'")
        with pytest.raises(
            StorageError, match=r"edited.sqlite: cannot be used: it contains a LedgerEntry with"
        ):
            edited.entries()
    with pytest.raises(ConfigurationError, match="check the permissions of its folder"):
        Ledger.open(damaged / "jobs.sqlite")
    newer = tmp_path / "newer.sqlite"
    connection = open_database(newer, "CREATE TABLE it (a)", 7)
    connection.close()
    with pytest.raises(ConfigurationError, match="version 7"):
        Ledger.open(newer)


def test_times_in_words() -> None:
    now = datetime.now(UTC)
    assert timedelta(hours=1.9) < now - parse_time("2h", "--since") < timedelta(hours=2.1)
    assert parse_time("2026-11-01", "--since").year == 2026
    assert parse_time(" 2026-11-01 ", "--since").month == 11
    for text in ("soon", "9" * 5000 + "d"):
        with pytest.raises(UsageError, match=f"--since {text}: invalid time; give an age"):
            parse_time(text, "--since")
    for text in ("900000d", "99999999999w", "9999999999999999999w"):
        with pytest.raises(UsageError, match=f"--since {text}: date out of range; give an age"):
            parse_time(text, "--since")
    said = [ago(1000.0 - passed, 1000.0) for passed in (1, 90, 7200, 200000, -5)]
    assert said == ["just now", "2 min ago", "2 h ago", "2 d ago", "just now"]


def test_the_users_folders_may_be_named_from_their_home(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setenv("CL_CLIENT_DATA_DIR", "~/data")
    monkeypatch.setenv("CL_CLIENT_CACHE_DIR", "~/cache")
    with Ledger.open(), EmbeddingCache.open():
        assert (tmp_path / "data/jobs.sqlite").is_file()
        assert (tmp_path / "cache/embeddings.sqlite").is_file()
