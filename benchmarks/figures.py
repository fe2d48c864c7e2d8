"""The results of benchmarks: figures with their targets, as a table and as JSON."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cl_client.models import JSONObject


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    Attributes:
        name: What was measured.
        value: The median of its samples unless the name says otherwise.
        unit: The unit of the value; ``"x"`` for a ratio of two values of the same run.
        target: The limit of the value; None for no limit.
        at_least: Whether the limit is a minimum; otherwise it is a maximum.
        details: The values behind it.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    details: JSONObject = field(default_factory=dict)

    @property
    def kept(self) -> bool | None:
        """Whether the target is met; None if there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def as_json(self) -> JSONObject:
        """Convert the figure to JSON.

        Returns:
            A JSON object.
        """
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": self.target,
            "at_least": self.at_least,
            "kept": self.kept,
            "details": self.details,
        }


def medians(rows: Sequence[Sequence[float]]) -> list[float]:
    """The median of each column.

    Args:
        rows: At least one row; all rows have the same length.

    Returns:
        The medians.
    """
    return [statistics.median(row[column] for row in rows) for column in range(len(rows[0]))]


def print_figures(figures: list[Figure]) -> None:
    """Print figures as a table.

    Args:
        figures: The figures.
    """
    table = Table("figure", "value", "target", "", "details")
    for figure in figures:
        sign = "≥" if figure.at_least else "≤"
        bound = "" if figure.target is None else f"{sign} {figure.target:,g} {figure.unit}"
        verdict = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}[figure.kept]
        details = ", ".join(f"{name} {value}" for name, value in figure.details.items())
        table.add_row(figure.name, f"{figure.value:,.4g} {figure.unit}", bound, verdict, details)
    Console().print(table)
