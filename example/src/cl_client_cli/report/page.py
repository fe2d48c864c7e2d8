"""Writes the report as one HTML page, which needs no network, no server and no other file."""

from __future__ import annotations

import os
import secrets
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined

from cl_client_cli.frame.whole_files import written_whole
from cl_client_cli.report.cards import card_of
from cl_client_cli.report.thumbnails import thumbnail_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from cl_client_cli.report.cards import Card
    from cl_client_cli.report.entries import ReportEntry
    from cl_client_cli.report.pairs import SimilarPair

_GROUP: Final = 8
"""Cards that a thread makes at a time: handing over each by itself takes more time."""
_AHEAD: Final = 6
"""How many groups are made while an earlier one is written."""

_T = TypeVar("_T")
_ResultT = TypeVar("_ResultT")


@dataclass(frozen=True, slots=True)
class Failure:
    """A task that failed on a file."""

    name: str
    task: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """The content of a page.

    Attributes:
        title: The page's title.
        made_at: The time of the report.
        count: The number of files.
        entries: Returns an iterator over all files; each call starts again, so that few are in memory.
        cards_only: Nothing has failed and nothing has an embedding, so one look at the files is enough.
    """

    title: str
    made_at: datetime
    count: int
    entries: Callable[[], Iterable[ReportEntry]]
    cards_only: bool = False


def write_report(path: Path, report: Report, on_card: Callable[[], None]) -> None:
    """Write the page; it is complete or missing, never partial.

    Args:
        path: The file for the page.
        report: The content.
        on_card: Called for each file on the page; an exception from it stops the writing.

    Raises:
        OSError: The file cannot be written.
    """
    environment = Environment(
        loader=PackageLoader("cl_client_cli.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    side = thumbnail_side(report.count)
    pairs, failures = ([], []) if report.cards_only else _pairs_and_failures(report, side)
    parts = environment.get_template("page.html.j2").generate(
        title=report.title,
        made_at=f"{report.made_at:%d %B %Y, %H:%M}",
        total=report.count,
        nonce=secrets.token_urlsafe(16),
        cards=_cards(report, side, on_card),
        pairs=pairs,
        failures=failures,
    )
    with (
        written_whole(path) as partial_page,
        partial_page.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.writelines(parts)


def _pairs_and_failures(report: Report, side: int) -> tuple[list[SimilarPair], list[Failure]]:
    from cl_client_cli.report.pairs import Embeddings  # imports numpy, which most reports do not need

    embeddings, failures = Embeddings(), list[Failure]()
    for entry in report.entries():
        embeddings.add(entry)
        failures.extend(_failures(entry))
    return embeddings.similar_pairs(side), failures


def _cards(report: Report, side: int, on_card: Callable[[], None]) -> Iterator[Card]:
    """The cards in order; thumbnails are made on all cores, as Pillow releases Python's lock."""
    entries = iter(report.entries())
    groups = iter(lambda: list(islice(entries, _GROUP)), [])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for cards in _mapped_ahead(pool, partial(_cards_of, side=side), groups):
            for card in cards:
                on_card()
                yield card


def _cards_of(group: list[ReportEntry], side: int) -> list[Card]:
    return [card_of(entry, side) for entry in group]


def _mapped_ahead(
    pool: ThreadPoolExecutor, function: Callable[[_T], _ResultT], values: Iterable[_T]
) -> Iterator[_ResultT]:
    """Like `ThreadPoolExecutor.map`, which would read all values before it yields the first result."""
    rest = iter(values)
    running = deque(pool.submit(function, value) for value in islice(rest, _AHEAD))
    try:
        while running:
            yield running.popleft().result()
            running.extend(pool.submit(function, value) for value in islice(rest, 1))
    finally:
        for call in running:
            call.cancel()


def _failures(entry: ReportEntry) -> Iterator[Failure]:
    for task, result in entry.results.items():
        if result.error is not None:
            yield Failure(entry.name, task, result.error)
