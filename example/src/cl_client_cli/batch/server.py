"""The server of a batch: a batch continues on the server where it started, unless ``--server`` moves it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Final, cast

from pydantic import TypeAdapter

from cl_client import MQTT_OFF
from cl_client_cli.frame.options import ConnectionOptions
from cl_client_cli.tasks.table import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cl_client import JSONObject
    from cl_client_cli.batch.manifest import BatchManifest
    from cl_client_cli.frame.command_frame import CommandContext

_CONNECTION: Final = "connection"
_SERVER: Final = "server"
_OPTIONS: Final = TypeAdapter(ConnectionOptions)


def batch_connection(manifest: BatchManifest, given: ConnectionOptions) -> ConnectionOptions:
    """The connection for a batch's run: the flags given, completed by those of the last run.

    A flag that names a server moves the batch there; the environment and settings files do not.

    Args:
        manifest: The manifest of the batch.
        given: The flags of this run.

    Returns:
        The connection.
    """
    kept = manifest.facts().get(_CONNECTION)
    if kept is None or given.server is not None or given.local:
        return given
    flags = {
        name: value
        for name, value in cast("Mapping[str, object]", asdict(given)).items()
        if value not in {None, False, ()}
    }
    last = cast("Mapping[str, object]", asdict(_OPTIONS.validate_python(json.loads(kept))))
    return _OPTIONS.validate_python({**last, **flags})


def settle_at_server(manifest: BatchManifest, used: ConnectionOptions, context: CommandContext) -> None:
    """Record the server of a batch; after a move, reset the items that the old server has not finished.

    Args:
        manifest: The manifest of the batch.
        used: The connection of this run.
        context: The client, settings and terminal of the command.
    """
    before = batch_server(manifest)
    if before not in {None, context.server} and (moved := manifest.take_back_submitted()):
        context.terminal.say(
            f"{counted(moved, 'job')} that {before} had not finished {'is' if moved == 1 else 'are'} "
            f"submitted to {context.server} instead."
        )
    manifest.set_fact(_SERVER, context.server)
    kept = cast("JSONObject", _OPTIONS.dump_python(_without_secrets(used, context), mode="json"))
    manifest.set_fact(_CONNECTION, json.dumps(kept))


def batch_server(manifest: BatchManifest) -> str | None:
    """The URL of the server that a batch runs on.

    Args:
        manifest: The manifest of the batch.

    Returns:
        The URL; None before the first run.
    """
    return manifest.facts().get(_SERVER)


def _without_secrets(used: ConnectionOptions, context: CommandContext) -> ConnectionOptions:
    """The connection, completed by the environment and settings files, without secrets."""
    if used.local:
        return ConnectionOptions(local=True)
    config, auth_url = context.client.config, context.settings.auth_url
    broker = config.mqtt_address
    return replace(
        used,
        server=config.base_url,
        mqtt=MQTT_OFF if broker is None else broker.url,
        auth_url=None if auth_url is None or "@" in auth_url else auth_url,
        user=context.settings.username,
        config=None if used.config is None else used.config.absolute(),
        # The next run may start in a folder with other settings files, without that profile.
        profile=None if used.config is None else used.profile,
        ca_file=config.ca_file and config.ca_file.absolute(),
        path_map=context.settings.path_map.as_options(),
    )
