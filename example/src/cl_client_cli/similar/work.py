"""The work of `cl-client similar`: embeds photos that are not cached, and ranks them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
from rich.table import Table
from rich.text import Text

from cl_client import map_concurrently
from cl_client_cli.frame.command_frame import run_with_client
from cl_client_cli.frame.exit_codes import SOME_FAILED
from cl_client_cli.frame.failures import Failures
from cl_client_cli.frame.names import screen_name
from cl_client_cli.frame.outages import Outages
from cl_client_cli.frame.progress import JobProgress
from cl_client_cli.frame.temporary_folders import temporary_folder
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.jobs.ledger import Ledger
from cl_client_cli.similar.embedding_cache import EmbeddingCache
from cl_client_cli.similar.ranking import ranked, unit_rows
from cl_client_cli.tasks.inputs import STANDARD_INPUT, InputSearch, content_digest, display_name, find_inputs
from cl_client_cli.tasks.job_engine import JobEngine
from cl_client_cli.tasks.job_outcome import JobRequest, Outcome
from cl_client_cli.tasks.media_kinds import suffixes_for
from cl_client_cli.tasks.notes import Notes
from cl_client_cli.tasks.plan import check_job_options
from cl_client_cli.tasks.resilient_engine import ResilientEngine
from cl_client_cli.tasks.server_paths import server_paths_of
from cl_client_cli.tasks.task_params import task_params

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cl_client_cli.frame.command_frame import CommandContext
    from cl_client_cli.frame.options import ConnectionOptions, JobOptions, RunOptions


def rank_similar(query: str, arguments: Sequence[str], task: str, limit: int, options: RunOptions) -> int:
    """Rank files by similarity to a file.

    Args:
        query: The photo to compare with, or ``-``.
        arguments: The files to rank; see `find_inputs`.
        task: The embedding task.
        limit: How many files to show, at least 1.
        options: The options of the command.

    Returns:
        The exit code.

    Raises:
        UsageError: An argument or an option is invalid.
        ConfigurationError: The ledger or the cache cannot be used.
    """
    check_job_options(options.jobs)
    if not options.jobs.wait:
        raise UsageError("--no-wait: not supported by this command, which needs the results; remove it")
    if limit < 1:
        raise UsageError(f"--limit {limit}: must be at least 1")
    if STANDARD_INPUT in arguments and query == STANDARD_INPUT:
        raise UsageError("'-': standard input can be read only once: give '-' once")
    with (
        temporary_folder() as temp,
        EmbeddingCache.open() as cache,
        Ledger.open() as ledger,
    ):
        search = InputSearch(
            recursive=options.inputs.recursive,
            suffixes=suffixes_for((task,)),
            ledger=ledger,
            say=Terminal.make(options.output).say,
            temp_dir=temp,
            exclude=options.inputs.exclude,
        )
        name_of = partial(display_name, temp_dir=temp)
        wanted, *more = find_inputs([query], replace(search, recursive=False)).files
        if more:
            raise UsageError(f"{query!r}: name a single photo to compare with; this matches {len(more) + 1}")
        # The photo itself, also by another name, is not ranked.
        files = [it for it in find_inputs(arguments, search).files if it.resolve() != wanted.resolve()]

        async def work(context: CommandContext) -> int:
            outages = Outages(
                context.client, context.terminal, options.jobs.give_up_after, waits_at_first=False
            )
            server_paths = server_paths_of(context, options.jobs)
            engine = ResilientEngine(JobEngine(context.client, ledger, options.jobs, server_paths), outages)
            models = _models_of(context, options.connection)
            try:
                with Notes(context.terminal) as notes:
                    embedder = _Embedder(context, cache, engine, task, models, options.jobs, name_of, notes)
                    return await _rank(embedder, wanted, files, limit)
            finally:
                engine.say_unanswered()
                if server_paths is not None:
                    server_paths.say_refused(context.terminal)

        hint = "The embeddings computed so far are cached."
        kept = [] if options.jobs.upload else [it for it in (wanted, *files) if it.parent != temp]
        return run_with_client(
            options.connection,
            options.output,
            work,
            resume_hint=hint,
            brings_work=True,
            inputs=lambda: kept,
        )


async def _rank(embedder: _Embedder, wanted: Path, files: Sequence[Path], limit: int) -> int:
    """Embed files that are not cached, and print the most similar ones. Returns the exit code."""
    terminal, paths = embedder.context.terminal, [wanted, *files]
    vectors = await embedder.embed_all(paths)
    if len({vector.size for vector in vectors.values()}) > 1:
        terminal.say("Some cached embeddings come from another model: computing all of them again.")
        vectors = await embedder.embed_all(paths, anew=True)
    if wanted not in vectors:
        return SOME_FAILED
    others = [path for path in files if path in vectors]
    rows = [vectors[path] for path in (wanted, *others)]
    _show(terminal, rows, [embedder.name_of(path) for path in others], limit)
    return SOME_FAILED if len(vectors) < len(paths) else 0


@dataclass(frozen=True, slots=True)
class _Embedder:
    context: CommandContext
    cache: EmbeddingCache
    engine: ResilientEngine
    task: str
    models: str
    jobs: JobOptions
    name_of: Callable[[Path], str]
    notes: Notes

    async def embed_all(
        self, paths: Sequence[Path], *, anew: bool = False
    ) -> dict[Path, NDArray[np.float32]]:
        """The embeddings of files, from the cache unless `anew`; failures are printed."""
        terminal, outages = self.context.terminal, self.engine.outages
        with JobProgress(terminal, len(paths), watch=self.jobs.watch, on_news=outages.moved) as progress:
            return await outages.watch(self._embed_all(paths, progress, anew=anew))

    async def _embed_all(
        self, paths: Sequence[Path], progress: JobProgress, *, anew: bool
    ) -> dict[Path, NDArray[np.float32]]:
        vectors: dict[Path, NDArray[np.float32]] = {}
        failures = Failures(self.context.terminal)
        embed = partial(self._embed, progress=progress, anew=anew)
        async with aclosing(map_concurrently(embed, paths, concurrency=self.jobs.concurrency)) as outcomes:
            async for path, vector in outcomes:
                if isinstance(vector, OSError | str):
                    failures.tell(self.name_of(path), self.task, str(vector))
                elif isinstance(vector, Exception):
                    raise vector
                else:
                    vectors[path] = vector
        return vectors

    async def _embed(self, path: Path, *, progress: JobProgress, anew: bool) -> NDArray[np.float32] | str:
        """The embedding of a file, or the reason of its failure."""
        digest = await asyncio.to_thread(content_digest, path)
        known = None if anew else self.cache.get(self.models, self.task, digest)
        if known is not None:
            progress.skip()
            return known
        name = self.name_of(path)
        request = JobRequest(
            path, self.task, task_params(self.task, {}), None, name, is_temporary=name == STANDARD_INPUT
        )
        row = progress.start(request.name, self.task)
        outcome = await self.engine.run(request, row)
        progress.end(row, failed=outcome.error is not None)
        self.notes.tell(outcome)
        vector = _vector(outcome)
        if not isinstance(vector, str):
            self.cache.put(self.models, self.task, digest, vector)
        return vector


def _models_of(context: CommandContext, connection: ConnectionOptions) -> str:
    """The key of the models: the server or, for local servers, which share models, the models' folder."""
    if not connection.local:
        return context.server
    from cl_client.local import users_models

    return str(users_models().folder)


def _vector(outcome: Outcome) -> NDArray[np.float32] | str:
    if outcome.result is None:
        return outcome.error or "no result"
    numbers = cast("list[float]", outcome.result.data["embedding"])
    return np.array(numbers, dtype=np.float32)


def _show(
    terminal: Terminal, vectors: Sequence[NDArray[np.float32]], names: Sequence[str], limit: int
) -> None:
    """Print which vectors, each with a name, are most similar to the first one."""
    if not names:
        terminal.say("No other photos to compare with.")
        return
    rows = unit_rows(vectors)
    ranking = ranked(cast("NDArray[np.float32]", rows[0]), rows[1:])
    table = Table("Rank", "Similarity", "File")
    table.columns[2].overflow = "fold"
    for rank, (at, similarity) in enumerate(ranking[:limit], start=1):
        path = names[at]
        terminal.record({"rank": rank, "similarity": similarity, "path": path})
        table.add_row(str(rank), f"{similarity:.1%}", Text(screen_name(path)))
    terminal.result(table)
