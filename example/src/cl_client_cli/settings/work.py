"""The work of `cl-client config`: shows settings and their origins, and writes a settings file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from rich.table import Table
from rich.text import Text

from cl_client import ComputeClientConfig
from cl_client_cli.frame.terminal import Terminal
from cl_client_cli.frame.usage import UsageError
from cl_client_cli.settings.resolved import DEFAULT, load_settings, refuse_local
from cl_client_cli.settings.settings_file import check_settings, searched_files, user_file

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client_cli.frame.options import ConnectionOptions, OutputOptions

_HEAD: Final = """\
# Settings of cl-client. Flags override environment variables, and these override this file.
# "cl-client config show --all" lists all settings. Do not put secrets here: use "cl-client login".
"""
_EXAMPLES: Final = {
    "base_url": ("URL of the compute service.", "http://nas.local:8002"),
    "mqtt_broker": ("URL of the MQTT broker; by default on the same host.", "mqtt://nas.local:1883"),
    "auth_url": ("URL of the auth service.", "http://nas.local:8000"),
    "username": ("User whose login is used; by default the user who logged in last.", "me"),
    "ca_file": ("PEM file of the certificate authorities to trust instead of the system's.", "authority.pem"),
}
_PROFILES_EXAMPLE: Final = """\
# The profile to use if no --profile is given.
# profile = "home"

# [profiles.home]
# base_url = "http://nas.local:8002"
"""


def show_settings(connection: ConnectionOptions, output: OutputOptions, *, with_defaults: bool) -> int:
    """Show the settings and their origins.

    Args:
        connection: Where the server is, and which login to use.
        output: How results are printed.
        with_defaults: Show the defaults too.

    Returns:
        The exit code.
    """
    terminal = Terminal.make(output)
    settings = load_settings(connection)
    shown = [it for it in settings.values if with_defaults or it.origin != DEFAULT]
    table = Table("Setting", "Value", "From")
    for column in table.columns:
        column.overflow = "fold"
    for it in shown:
        terminal.record({"name": it.name, "value": it.value, "origin": it.origin})
        table.add_row(it.name, Text(it.value), Text(it.origin, style="dim" if it.origin == DEFAULT else ""))
    if shown:
        terminal.result(table)
    else:
        terminal.say(
            "All settings have their default values; --all shows them. "
            "To create a settings file: cl-client config init"
        )
    return 0


def show_paths(connection: ConnectionOptions, output: OutputOptions) -> int:
    """Show the paths of the settings files.

    Args:
        connection: Where the server is, and which login to use.
        output: How results are printed.

    Returns:
        The exit code.
    """
    refuse_local(connection)
    terminal = Terminal.make(output)
    for path in searched_files(connection.config):
        found = path.is_file()
        terminal.record({"path": str(path), "exists": found})
        terminal.result(f"{path}{'' if found else '  (not found)'}")
    return 0


def write_settings(
    connection: ConnectionOptions, output: OutputOptions, *, user_wide: bool, force: bool
) -> int:
    """Write a settings file.

    Args:
        connection: What to write into it.
        output: How results are printed.
        user_wide: Write the user's file instead of the one in the current folder.
        force: Overwrite an existing file.

    Returns:
        The exit code.

    Raises:
        UsageError: The file exists, or its name does not end in ``.toml``.
    """
    refuse_local(connection)
    terminal = Terminal.make(output)
    # The last of the default files is the one in the current folder.
    path = user_file() if user_wide else searched_files(connection.config)[-1]
    if path.suffix != ".toml":
        raise UsageError(f"{path}: the settings are written as TOML: name a file that ends in .toml")
    text = _content(connection, path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} already exists; --force overwrites it") from None
    terminal.record({"path": str(path)})
    terminal.result(str(path))
    return 0


def _content(connection: ConnectionOptions, path: Path) -> str:
    """The file's text; secrets and invalid values are rejected."""
    ca_file = None if connection.ca_file is None else str(connection.ca_file.absolute())
    given = {
        "base_url": connection.server,
        "mqtt_broker": connection.mqtt,
        "auth_url": connection.auth_url,
        "username": connection.user,
        "ca_file": ca_file,
    }
    check_settings(str(path), given)
    ComputeClientConfig.create(base_url=connection.server, mqtt_broker=connection.mqtt, ca_file=ca_file)
    lines = [f"# {_EXAMPLES[name][0]}\n{_line(name, value)}\n" for name, value in given.items()]
    if connection.profile is None:
        return "\n".join([_HEAD, *lines, _PROFILES_EXAMPLE])
    name = _quoted(connection.profile)
    return "\n".join([_HEAD, f"profile = {name}\n\n[profiles.{name}]", *lines])


def _line(name: str, value: str | None) -> str:
    return f'# {name} = "{_EXAMPLES[name][1]}"' if value is None else f"{name} = {_quoted(value)}"


def _quoted(text: str) -> str:
    # TOML reads JSON strings as the same text, except for JSON's escapes of emoji.
    return json.dumps(text, ensure_ascii=False)
