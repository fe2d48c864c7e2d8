"""The command `cl-client similar`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from cl_client_cli.frame.options import (
    DEFAULT_CONNECTION,
    DEFAULT_INPUTS,
    DEFAULT_JOBS,
    DEFAULT_OUTPUT,
    ConnectionOptions,
    InputOptions,
    JobOptions,
    OutputOptions,
    RunOptions,
)
from cl_client_cli.tasks.file_arguments import FileArgument  # noqa: TC001 - read at run time, to parse arguments


def similar(
    query: FileArgument,
    *files: FileArgument,
    by: Literal["clip", "dino"] = "clip",
    limit: Annotated[int, Parameter(alias="-n")] = 10,
    inputs: InputOptions = DEFAULT_INPUTS,
    jobs: JobOptions = DEFAULT_JOBS,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Rank photos by similarity to a photo. Embeddings are cached, so each photo is embedded only once.

    Example: `cl-client similar beach.jpg photos/ --recursive --by dino`

    Args:
        query: The photo to compare with, or - for standard input.
        files: Files, patterns, folders, @list.txt, or - for standard input.
        by: Embedding to compare: clip finds photos of similar things, dino photos that look alike.
        limit: How many photos to show.
        inputs: How the files are found.
        jobs: How jobs are submitted.
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.similar.work import rank_similar

    options = RunOptions(
        inputs=inputs,
        jobs=jobs,
        output=output,
        connection=connection,
    )
    return rank_similar(str(query), [*map(str, files)], f"{by}_embedding", limit, options)
