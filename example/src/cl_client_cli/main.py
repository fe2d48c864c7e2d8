"""The commands of `cl-client`: their arguments and help texts, and nothing that costs time to import.

Each command imports the module that does its work when it runs, so that ``--help`` and completion answer at
once.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path  # noqa: TC003 - Typer reads the annotations
from typing import Annotated, Literal

import typer

from cl_client_cli.models import models_app

app = typer.Typer(
    name="cl-client",
    help="Media compute jobs from the command line: hashes, metadata, conversions, thumbnails.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.add_typer(models_app, name="models")


def _print_version(requested: bool) -> None:  # noqa: FBT001 - Typer's signature of a callback
    if requested:
        from importlib.metadata import version

        typer.echo(f"cl-client {version('cl-client-cli')}")
        raise typer.Exit


@app.callback()
def common(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Typer turns this into the options before the command."""
    del version  # its callback has answered


@app.command()
def demo(
    *,
    photos: Annotated[
        list[Path] | None,
        typer.Argument(metavar="PHOTO", help="Photos or videos.", show_default="samples"),
    ] = None,
    output_dir: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, help="Where the results go.", show_default="a new ./cl-client-demo, -2, -3 ..."
        ),
    ] = None,
    keep: Annotated[bool, typer.Option(help="Keep the result files, or only show what they are.")] = True,
) -> None:
    """Run every suitable task on photos, on a local server that lives as long as the demo.

    Exits with 1 if some of the jobs failed.
    """
    from cl_client_cli.demo import run_demo

    raise typer.Exit(run_demo(photos or [], output_dir, keep=keep))


@app.command()
def server(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The HTTP port; 0 for a free one.")] = 8002,
    mqtt_port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port of the server's own broker; 0 for a free one.")
    ] = 1883,
    mqtt_url: Annotated[
        str | None,
        typer.Option(help="A running broker to use instead of an own one.", metavar="mqtt://HOST:PORT"),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Where jobs are kept.", show_default="a temporary folder"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many jobs run at once.", show_default="one per core")
    ] = None,
    generation: Annotated[
        Literal["A", "B", "C"], typer.Option(help="Which CL Server to behave like; C is the newest.")
    ] = "C",
    auth: Annotated[
        bool,
        typer.Option(
            "--auth",
            help="Run an auth service, and demand tokens. Its first user is admin, with the password of the "
            "variable CL_CLIENT_ADMIN_PASSWORD, or else admin.",
        ),
    ] = False,
    auth_port: Annotated[
        int, typer.Option(min=0, max=65535, help="The auth service's port; 0 for a free one.")
    ] = 8000,
    mqtt_auth: Annotated[
        bool, typer.Option("--mqtt-auth", help="Let the server's own broker demand a user name and a token.")
    ] = False,
    tls_cert: Annotated[
        Path | None, typer.Option(dir_okay=False, help="The server's certificate, in PEM format.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(dir_okay=False, help="The certificate's private key, in PEM format.")
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Authorities whose certificates clients must show."),
    ] = None,
) -> None:
    """Run a local compute server until Ctrl-C."""
    from cl_client_cli.server import run_server

    code = run_server(
        host=host,
        port=port,
        mqtt_port=mqtt_port,
        mqtt_url=mqtt_url,
        data_dir=data_dir,
        workers=workers,
        generation=generation,
        auth=auth,
        auth_port=auth_port,
        mqtt_auth=mqtt_auth,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_client_ca=tls_client_ca,
    )
    raise typer.Exit(code)


def main() -> None:
    """Run the command that the process's arguments name."""
    for stream in (sys.stdout, sys.stderr):
        # A file may have a name that the terminal's encoding cannot show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="cl-client")
