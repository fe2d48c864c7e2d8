"""The ledger and the databases under it."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from cl_client import ConfigurationError, JobResponse
from cl_client_cli.database import open_database
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.jobs.ledger import FORGOTTEN, Ledger
from cl_client_cli.jobs.relative_times import ago, parse_time

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
        assert ledger.result_of(target) is None
        ledger.updated(_job("one", "completed"), server=SERVER)
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
        assert [it.job_id for it in ledger.find("on")] == ["one"]
        assert ledger.prune(datetime.now(UTC) - timedelta(hours=1)) == 0
        assert ledger.prune(datetime.now(UTC) + timedelta(hours=1)) == 2


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
    with pytest.raises(ConfigurationError, match="check that you may write there"):
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
        with pytest.raises(UsageError, match=f"--since {text}: write a span"):
            parse_time(text, "--since")
    for text in ("900000d", "99999999999w", "9999999999999999999w"):
        with pytest.raises(
            UsageError, match=f"--since {text}: the calendar does not go so far; write a span"
        ):
            parse_time(text, "--since")
    said = [ago(1000.0 - passed, 1000.0) for passed in (1, 90, 7200, 200000, -5)]
    assert said == ["just now", "2 min ago", "2 h ago", "2 d ago", "just now"]
