"""The commands `cl-client config ...`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from cl_client_cli.frame.options import (
    DEFAULT_CONNECTION,
    DEFAULT_OUTPUT,
    ConnectionOptions,
    Flag,
    OutputOptions,
)

config_app = App(name="config", help="Show and create settings.\n\nExample: `cl-client config show`")


@config_app.command
def show(
    *,
    all: Flag = False,  # noqa: A002 - the option's name
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Show the current settings, and where each of them was set.

    Flags override environment variables, and these override settings files.

    Example: `cl-client config show --profile home`

    Args:
        all: Show the defaults too.
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.settings.work import show_settings

    return show_settings(connection, output, with_defaults=all)


@config_app.command
def path(
    *, connection: ConnectionOptions = DEFAULT_CONNECTION, output: OutputOptions = DEFAULT_OUTPUT
) -> int:
    """Show the paths of the settings files, and which of them exist; the last one takes precedence.

    Example: `cl-client config path`

    Args:
        connection: Where the server is.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.settings.work import show_paths

    return show_paths(connection, output)


@config_app.command
def init(
    *,
    user_wide: Annotated[Flag, Parameter(name="--global")] = False,
    force: Annotated[Flag, Parameter(alias="-f")] = False,
    connection: ConnectionOptions = DEFAULT_CONNECTION,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Write a settings file, with comments that explain the settings.

    Example: `cl-client config init --server http://nas:8002`

    Args:
        user_wide: Write the user's settings file instead of one in the current folder.
        force: Overwrite an existing file.
        connection: These options are written to the file; with --profile, into the section of that profile.
        output: How results are printed.

    Returns:
        The exit code.
    """
    from cl_client_cli.settings.work import write_settings

    return write_settings(connection, output, user_wide=user_wide, force=force)
