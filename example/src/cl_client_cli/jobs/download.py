"""The work of `cl-client download`: a job's files, with a bar that counts their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cl_client_cli.frame.command_frame import run_with_client
from cl_client_cli.frame.places import check_folder
from cl_client_cli.frame.progress import byte_progress
from cl_client_cli.jobs.work import full_job_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cl_client import FilesProgress
    from cl_client_cli.frame.command_frame import CommandContext
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
    """Download files of a job; the process's exit code."""
    check_folder("--output-dir", folder)

    async def download(context: CommandContext) -> int:
        client = context.client
        job_id = full_job_id(prefix, context.server)
        with byte_progress(context.terminal) as bars:
            bar = bars.add_task(job_id, total=None)

            def show(progress: FilesProgress) -> None:
                bars.update(bar, completed=progress.bytes_done, total=progress.bytes_total)

            if files:
                paths = await client.download_job_files(
                    job_id, files, folder, on_progress=show, overwrite=force
                )
            else:
                job = await client.get_job(job_id)
                paths = await client.download_job_outputs(job, folder, on_progress=show, overwrite=force)
        for path in paths:
            context.terminal.record({"job_id": job_id, "path": str(path), "bytes": path.stat().st_size})
            context.terminal.result(str(path))
        return 0

    return run_with_client(connection, output, download)
