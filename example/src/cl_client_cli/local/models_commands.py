"""The commands `cl-client models ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from cl_client_cli.frame.options import DEFAULT_OUTPUT, OutputOptions

models_app = App(
    name="models",
    help="Manage the models of the local server's embedding and face tasks.\n\n"
    "Example: `cl-client models list`",
)

_ModelsDir = Annotated[Path | None, Parameter(show_default=False)]


@models_app.command(name="list")
def list_(
    *,
    models_dir: _ModelsDir = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """List the models, and where they are installed.

    Example: `cl-client models list --json`

    Args:
        models_dir: Folder of the models; by default CL_CLIENT_MODELS, or a folder in the user's cache.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.local.models import list_models

    return list_models(models_dir, output)


@models_app.command
def pull(*names: str, models_dir: _ModelsDir = None, output: OutputOptions = DEFAULT_OUTPUT) -> int:
    """Download models that are not installed yet.

    They are downloaded from their public URLs or, by file name, from the URL in CL_CLIENT_MODELS_MIRROR. A
    running server offers their tasks within seconds. The exit code is 1 if a model could not be downloaded.

    Example: `cl-client models pull yunet`

    Args:
        names: Names of the models; by default all.
        models_dir: Folder of the models; by default CL_CLIENT_MODELS, or a folder in the user's cache.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.local.models import pull_models

    return pull_models(names, models_dir, output)
