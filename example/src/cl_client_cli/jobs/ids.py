"""Job IDs from their first letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cl_client_cli.jobs.ledger import Ledger

SHORT_ID: Final = 8
"""How many letters of an ID are shown; these are practically unique."""
_IDS_NAMED: Final = 5


def full_job_ids(prefixes: Sequence[str], ledger: Ledger, server: str) -> list[str]:
    """Expand prefixes to full job IDs, without duplicates; see `full_job_id`.

    Args:
        prefixes: Job IDs or their first letters.
        ledger: The ledger of jobs.
        server: The URL of the server.

    Returns:
        The job IDs, in order.
    """
    return list(dict.fromkeys(full_job_id(prefix, ledger, server) for prefix in prefixes))


def full_job_id(prefix: str, ledger: Ledger, server: str) -> str:
    """Expand a prefix to the full job ID.

    Args:
        prefix: A job ID or its first letters.
        ledger: The ledger of jobs.
        server: The URL of the server.

    Returns:
        The job ID; the prefix itself if the ledger has no such job.

    Raises:
        UsageError: The prefix is empty, or matches several jobs.
    """
    if not prefix.strip():
        raise UsageError("the job ID is empty; cl-client jobs list shows the IDs")
    found = ledger.find(prefix, server=server)
    if prefix in found or not found:
        return prefix
    if len(found) > 1:
        named = ", ".join(found[:_IDS_NAMED])
        raise UsageError(f"{prefix}: matches {len(found)} jobs: {named}; give more letters of the ID")
    return found[0]
