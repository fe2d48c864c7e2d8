"""`cl-client jobs` and `cl-client download` against a server, with a ledger of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cl_client.local import LocalServer
from command_lines import json_objects

if TYPE_CHECKING:
    from pathlib import Path

    from command_lines import RunCLI

pytestmark = pytest.mark.usefixtures("at_server")


def test_a_job_from_its_submit_to_its_end(run_cli: RunCLI, samples: Path, work_folder: Path) -> None:
    submitted = run_cli("exif", "extract", samples / "mountains.jpg", "--no-wait")
    job_id = submitted.stdout.strip()
    waited = run_cli("jobs", "wait", job_id[:8], "--watch")
    assert waited.stdout == f"{job_id}: exif completed\n"
    assert "completed" in run_cli("jobs", "list", "--no-refresh").stdout
    (listed,) = json_objects(run_cli("jobs", "list", "--task", "exif", "--since", "1h", "--json"))
    assert (listed["job_id"], listed["status"], listed["progress"]) == (job_id, "completed", 100)
    assert "mountains.jpg" in run_cli("jobs", "list").stdout
    assert "mountains.jpg" in run_cli("jobs", "list", "--no-refresh").stdout
    assert "No jobs found" in run_cli("jobs", "list", "--status", "failed").stderr
    assert "Canon" in run_cli("jobs", "get", job_id[:8]).stdout
    assert json_objects(run_cli("jobs", "get", job_id, "--json"))[0]["status"] == "completed"
    assert "has already ended" in run_cli("jobs", "cancel", job_id).stderr

    fetched = run_cli("download", job_id[:8], "-d", "files")
    assert fetched.returncode == 0, fetched.stderr
    assert (work_folder / "files/output/exif_metadata.json").exists()
    again = run_cli("download", job_id, "-d", "files")
    assert again.returncode == 1
    assert "exif_metadata.json already exists; --force overwrites it" in again.stderr
    one = run_cli("download", job_id, "output/exif_metadata.json", "-d", "files", "--force", "--json")
    assert json_objects(one)[0]["path"] == "files/output/exif_metadata.json"
    named = f"/srv/jobs/{job_id}/output/exif_metadata.json"  # as a server names it
    again = run_cli("download", job_id, named, "-d", "named")
    assert again.stdout == "named/output/exif_metadata.json\n"
    refused = run_cli("download", job_id, f"/srv/jobs/{job_id}/../x", "-d", "named")
    assert refused.returncode != 0
    assert "is not a path below a job: a part of it is . or .." in refused.stderr

    assert run_cli("jobs", "delete", job_id).stdout == f"{job_id}: deleted\n"
    gone = run_cli("jobs", "get", job_id)
    assert gone.returncode == 1
    assert "404" in gone.stderr
    assert run_cli("jobs", "prune", "--older-than", "1s").returncode == 0


def test_a_job_that_failed(run_cli: RunCLI, work_folder: Path) -> None:
    (work_folder / "bad.jpg").write_bytes(b"not a picture")
    job_id = run_cli("media-thumbnail", "generate", "bad.jpg", "--no-wait").stdout.strip()
    waited = run_cli("jobs", "wait", job_id)
    assert waited.returncode == 1
    assert "media_thumbnail failed: " in waited.stdout


def test_what_the_server_has_forgotten(
    run_cli: RunCLI, samples: Path, at_server: LocalServer, cli_environment: dict[str, str]
) -> None:
    job_id = run_cli("hash", "compute", samples / "clip.mp4", "--no-wait").stdout.strip()
    # Deleted by another user, so that this ledger does not know of it.
    here = cli_environment["CL_CLIENT_DATA_DIR"]
    cli_environment["CL_CLIENT_DATA_DIR"] = f"{here}-of-another"
    assert run_cli("jobs", "delete", job_id).returncode == 0
    cli_environment["CL_CLIENT_DATA_DIR"] = here
    (listed,) = json_objects(run_cli("jobs", "list", "--json"))
    assert (listed["status"], listed["server"]) == ("forgotten", at_server.base_url)


def test_jobs_are_listed_without_their_server(
    run_cli: RunCLI, samples: Path, cli_environment: dict[str, str], unused_port: int
) -> None:
    for name in ("COMPUTE_SERVER_URL", "MQTT_BROKER_HOST"):
        del cli_environment[name]
    with LocalServer(workers=1, tasks=["hash"]) as server:
        at_it = ("--server", server.base_url, "--mqtt", "off")
        job_id = run_cli("hash", "compute", samples / "clip.mp4", "--no-wait", *at_it).stdout.strip()
        address = server.base_url
        assert run_cli("admin", "storage", *at_it).stdout.startswith("1 job, ")
    shown = run_cli("jobs", "list", *at_it)
    assert (shown.returncode, job_id[:8] in shown.stdout) == (3, True)
    assert "showing the last known status" in shown.stderr
    elsewhere = ("--server", f"http://127.0.0.1:{unused_port}")
    nothing = run_cli("jobs", "list", *elsewhere)
    assert (nothing.returncode, "1 on others: --all lists them" in nothing.stderr) == (0, True)
    (listed,) = json_objects(run_cli("jobs", "list", "--all", "--json", *elsewhere))
    assert (listed["job_id"], listed["server"]) == (job_id, address)
    assert address in run_cli("jobs", "list", "--all", *elsewhere).stdout
