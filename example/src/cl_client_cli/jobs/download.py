"""The work of `cl-client download`: downloads a job's files, with a progress bar for their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client.exceptions import ComputeClientError, DestinationExistsError, JobFilesError
from cl_client_cli.frame.places import check_folder
from cl_client_cli.frame.progress import byte_progress
from cl_client_cli.jobs.noted_jobs import NotedJobs, run_on_jobs
from cl_client_cli.tasks.other_tasks import plugin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cl_client import FilesProgress
    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions


def download_files(
    prefix: str,
    files: Sequence[str],
    folder: Path,
    connection: ConnectionOptions,
    output: OutputOptions,
    *,
    force: bool,
) -> int:
    """Download files of a job.

    Args:
        prefix: The job ID or its first letters.
        files: Paths inside the job; empty for all known output files.
        folder: Where the files go.
        connection: Where the server is, and which login to use.
        output: How results are printed.
        force: Overwrite existing files.

    Returns:
        The exit code.
    """
    check_folder("--output-dir", folder)

    async def download(jobs: NotedJobs, job_ids: Sequence[str]) -> int:
        (job_id,) = job_ids
        with byte_progress(jobs.terminal) as bars:
            bar = bars.add_task(job_id, total=None)

            def show(progress: FilesProgress) -> None:
                bars.update(bar, completed=progress.bytes_done, total=progress.bytes_total)

            try:
                paths = await _fetch(jobs, job_id, files, folder, show, overwrite=force)
            except DestinationExistsError as exc:
                raise ComputeClientError(f"{exc.path} already exists; --force overwrites it") from exc
            except JobFilesError as exc:
                # The reason of the first file is enough, and decides the exit code.
                raise next(iter(exc.failures.values())) from exc
        for path in paths:
            jobs.terminal.record({"job_id": job_id, "path": str(path), "bytes": path.stat().st_size})
            jobs.terminal.result(str(path))
        return 0

    return run_on_jobs([prefix], connection, output, download)


async def _fetch(
    jobs: NotedJobs,
    job_id: str,
    files: Sequence[str],
    folder: Path,
    on_progress: Callable[[FilesProgress], None],
    *,
    overwrite: bool,
) -> Sequence[Path]:
    """Download the named files of a job or, if none is named, all known output files."""
    if not files:
        job = await jobs.read(job_id)
        files = await plugin_of(jobs.client, job.task_type).output_files(job)
    return await jobs.client.download_job_files(
        job_id, files, folder, on_progress=on_progress, overwrite=overwrite
    )
