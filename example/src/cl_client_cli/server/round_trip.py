"""The last check of `cl-client doctor`: a small job, from its upload to the event of its end."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from cl_client import ComputeClient, ComputeClientError, JobStatus
from cl_client.exceptions import AuthenticationError, JobNotFoundError, PermissionDeniedError
from cl_client_cli.server.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Collection

    from cl_client import AuthProvider, ComputeClientConfig, JobResponse

_PATIENCE: Final = 15.0
_CHECK: Final = "round trip"
_CONTENT: Final = b"cl-client doctor"
_LOOK_AT_THE_LOG: Final = "check the server's log"


async def round_trip_finding(
    config: ComputeClientConfig,
    provider: AuthProvider | None,
    served: Collection[str],
    *,
    pushed: bool,
    patience: float = _PATIENCE,
) -> Finding:
    """Run a hash job of a few bytes, and delete it again.

    Args:
        config: The client's settings.
        provider: The login; None for none.
        served: The tasks that workers serve.
        pushed: Whether the broker is connected, so that it has to report the job's end.
        patience: How many seconds to wait for that.

    Returns:
        The result of the check.
    """
    if "hash" not in served:
        return Finding(check=_CHECK, state="warning", message="skipped: no worker serves hash")
    # If the broker has to report the end, no poll may come before the timeout.
    seconds = dict.fromkeys(("poll_min", "poll_interval_push"), 2 * patience) if pushed else {}
    async with ComputeClient(config=config.replace(**seconds), auth_provider=provider) as client:
        if pushed:
            await client.mqtt_monitor.wait_connected(config.mqtt_connect_timeout)
        try:
            return await _round_trip(client, patience, pushed=pushed)
        except (AuthenticationError, PermissionDeniedError) as exc:
            return Finding(check=_CHECK, state="problem", message=str(exc), remedy="cl-client login")
        except ComputeClientError as exc:
            return Finding(check=_CHECK, state="problem", message=str(exc), remedy=_LOOK_AT_THE_LOG)


async def _round_trip(client: ComputeClient, patience: float, *, pushed: bool) -> Finding:
    begun = time.perf_counter()
    # Subscribed with the submit, so that no first state is read: that could be the end already.
    ended: asyncio.Future[JobResponse] = asyncio.get_running_loop().create_future()
    job_id = (await client.hash.compute(_CONTENT, on_complete=ended.set_result)).job_id
    try:
        async with asyncio.timeout(patience):
            job = await ended
        return _ended(job, time.perf_counter() - begun, pushed=pushed)
    except TimeoutError:
        return _late(await client.get_job(job_id), patience)
    finally:
        await _remove(client, job_id)


async def _remove(client: ComputeClient, job_id: str) -> None:
    try:
        await client.delete_job(job_id)
    except JobNotFoundError:
        return  # already deleted


def _ended(job: JobResponse, seconds: float, *, pushed: bool) -> Finding:
    if job.status != JobStatus.COMPLETED:
        message = f"a hash job ended as {job.status}: {job.error_message}"
        return Finding(check=_CHECK, state="problem", message=message, remedy=_LOOK_AT_THE_LOG)
    heard = "the broker reported its end" if pushed else "polling found its end"
    return Finding(check=_CHECK, state="ok", message=f"a hash job took {seconds * 1000:.0f} ms; {heard}")


def _late(job: JobResponse, patience: float) -> Finding:
    if job.status.is_terminal:
        return Finding(
            check=_CHECK,
            state="warning",
            message=f"a hash job has ended ({job.status}), but the broker did not report it within "
            f"{patience:g} s",
            remedy="is it the broker of this server? Name the right one with --mqtt, or use --mqtt off",
        )
    message = f"a hash job is {job.status} after {patience:g} s"
    return Finding(check=_CHECK, state="warning", message=message, remedy="are the workers busy, or stuck?")
