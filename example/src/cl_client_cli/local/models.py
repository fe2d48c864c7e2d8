"""The work of `cl-client models`: shows which models are there, and fetches the others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, TypeAdapter
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

from cl_client.exceptions import ComputeClientError, ConfigurationError
from cl_client.local.model_settings import users_models
from cl_client.local.model_store import MODELS
from cl_client_cli.frame.exit_codes import INTERRUPTED, SOME_FAILED, WRONG_USE
from cl_client_cli.frame.interruption import run_interruptible
from cl_client_cli.frame.terminal import make_console, print_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from cl_client.local.model_store import ModelStore


class _ListedModel(BaseModel):
    """A model as ``--json`` shows it; ``path`` is None where it is not there."""

    name: str
    summary: str
    licence: str | None
    url: str
    file_name: str
    sha256: str | None
    path: Path | None


_LISTED_MODELS: Final = TypeAdapter(list[_ListedModel])


def list_models(folder: Path | None, *, as_json: bool) -> int:
    """Show the models; the process's exit code."""
    try:
        store = users_models(folder)
    except ConfigurationError as exc:
        print_error(str(exc))
        return WRONG_USE
    listed = [
        _ListedModel(
            name=name,
            summary=model.summary,
            licence=model.licence,
            url=model.url,
            file_name=model.file_name,
            sha256=store.expected_digest(name),
            path=store.find(name),
        )
        for name, model in MODELS.items()
    ]
    if as_json:
        print(_LISTED_MODELS.dump_json(listed, indent=2).decode())  # noqa: T201 - a result
    else:
        make_console().print(_table(listed))
    return 0


def _table(listed: Sequence[_ListedModel]) -> Table:
    table = Table("Model", "What it is", "Where it is")
    table.columns[2].overflow = "fold"
    for model in listed:
        if model.path is None:
            where = Text("not there", style="red")
        else:
            where = Text(f"{model.path}, {decimal(model.path.stat().st_size)}", style="green")
        table.add_row(model.name, model.summary, where)
    return table


def pull_models(names: Sequence[str], folder: Path | None) -> int:
    """Fetch models, all of them if none is named; the process's exit code."""
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        print_error(f"no such model: {', '.join(unknown)}; there are {', '.join(MODELS)}")
        return WRONG_USE
    try:
        store = users_models(folder)
        failures = run_interruptible(_pull(make_console(), store, tuple(dict.fromkeys(names or MODELS))))
    except ConfigurationError as exc:
        print_error(str(exc))
        return WRONG_USE
    except KeyboardInterrupt:
        print_error("interrupted; models that were not whole have been removed")
        return INTERRUPTED
    for failure in failures:
        print_error(failure)
    return SOME_FAILED if failures else 0


async def _pull(console: Console, store: ModelStore, names: Sequence[str]) -> list[str]:
    """Fetch one model after the other; what went wrong, a failure does not stop the others."""
    failures: list[str] = []
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_interactive,
    )
    with progress:
        for name in names:
            bar = progress.add_task(name, total=MODELS[name].size)

            def show(done: int, total: int | None, bar: TaskID = bar) -> None:
                progress.update(bar, completed=done, total=total)

            try:
                path = await store.pull(name, show)
            except ConfigurationError:
                raise
            except (ComputeClientError, OSError) as exc:
                failures.append(str(exc))
            else:
                console.print(Text(f"{name}: {path}"), soft_wrap=True)
            finally:
                progress.remove_task(bar)
    return failures
