"""The commands `cl-client models ...`: their arguments and help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

models_app = typer.Typer(
    help="The models that the local server's embedding and face tasks need.", no_args_is_help=True
)

ModelsDir = Annotated[
    Path | None,
    typer.Option(
        file_okay=False,
        help="Where models are kept.",
        show_default="CL_CLIENT_MODELS, or else the user's cache folder",
    ),
]


@models_app.command("list")
def list_(
    *,
    models_dir: ModelsDir = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, with every model's address.")] = False,
) -> None:
    """Show the models and which of them are there."""
    from cl_client_cli.model_files import list_models

    raise typer.Exit(list_models(models_dir, as_json=json))


@models_app.command()
def pull(
    *,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Models.", show_default="all")
    ] = None,
    models_dir: ModelsDir = None,
) -> None:
    """Fetch models that are not there yet.

    They come from their public addresses, or from below the URL in CL_CLIENT_MODELS_MIRROR, by file name.
    A server that runs announces their tasks within seconds.

    Exits with 1 if a model could not be fetched.
    """
    from cl_client_cli.model_files import pull_models

    raise typer.Exit(pull_models(names or [], models_dir))
