"""Jobs by the first letters of their ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cl_client_cli.jobs.ledger import Ledger

SHORT_ID: Final = 8
"""So many letters of an id are shown; they tell it from the others."""
_IDS_NAMED: Final = 5


def full_job_ids(prefixes: Sequence[str], ledger: Ledger, server: str) -> list[str]:
    """The ids that prefixes stand for, each once; see `full_job_id`."""
    return list(dict.fromkeys(full_job_id(prefix, ledger, server) for prefix in prefixes))


def full_job_id(prefix: str, ledger: Ledger, server: str) -> str:
    """The id that a prefix stands for, as far as the ledger knows it; else the prefix itself.

    Raises:
        UsageError: It stands for several, or is empty.
    """
    if not prefix.strip():
        raise UsageError("a job's id is empty: write its first letters; cl-client jobs list shows them")
    found = ledger.find(prefix, server=server)
    if prefix in found or not found:
        return prefix
    if len(found) > 1:
        named = ", ".join(found[:_IDS_NAMED])
        raise UsageError(f"{prefix}: {len(found)} jobs begin so: {named}; write more of it")
    return found[0]
