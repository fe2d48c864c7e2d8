"""The commands `cl-client models ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from cl_client_cli.frame.options import DEFAULT_OUTPUT, OutputOptions

models_app = App(
    name="models",
    help="The models of the local server's embedding and face tasks.\n\nExample: `cl-client models list`",
)

_ModelsDir = Annotated[Path | None, Parameter(show_default=False)]


@models_app.command(name="list")
def list_(
    *,
    models_dir: _ModelsDir = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Show the models and which of them are there.

    Example: `cl-client models list --json`

    Args:
        models_dir: Where models are kept; by default CL_CLIENT_MODELS, or else the user's cache folder.
        output: How results are told.
    """
    from cl_client_cli.local.models import list_models

    return list_models(models_dir, output)


@models_app.command
def pull(*names: str, models_dir: _ModelsDir = None, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Fetch models that are not there yet.

    They come from their public addresses, or from below the URL in CL_CLIENT_MODELS_MIRROR, by file name.
    A server that runs announces their tasks within seconds. Exits with 1 if a model could not be fetched.

    Example: `cl-client models pull yunet`

    Args:
        names: Models; by default all.
        models_dir: Where models are kept; by default CL_CLIENT_MODELS, or else the user's cache folder.
        output: How results are told.
    """
    from cl_client_cli.local.models import pull_models

    return pull_models(names, models_dir, output)
