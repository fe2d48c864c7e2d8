"""Tables that several commands show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping


def facts_table(facts: Mapping[str, str]) -> Table:
    """Names and values, one pair on each line.

    Args:
        facts: Values by name.

    Returns:
        The table.
    """
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(Text(name, style="bold"), Text(value, overflow="fold"))
    return table
