"""The commands that bring their own server: `cl-client demo` and `cl-client server`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read at run time, to parse arguments
from typing import Literal

from cyclopts.types import Port, PositiveInt  # noqa: TC002 - read at run time, to parse arguments

from cl_client_cli.frame.options import DEFAULT_OUTPUT, Flag, OutputDir, OutputOptions


def demo(
    *photos: Path,
    output_dir: OutputDir | None = None,
    keep: bool = True,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Run every suitable task on photos, on a temporary local server.

    Exits with 1 if some of the jobs failed.

    Example: `cl-client demo photo.jpg`

    Args:
        photos: Photos or videos; by default samples.
        output_dir: Where the results go; by default a new ./cl-client-demo, -2, -3 ...
        keep: Keep the result files, or only show what they are.
        output: How results are told.
    """
    from cl_client_cli.demo.work import run_demo

    return run_demo(photos, output_dir, output, keep=keep)


def server(
    *,
    host: str = "127.0.0.1",
    port: Port = 8002,
    mqtt_port: Port = 1883,
    mqtt_url: str | None = None,
    data_dir: Path | None = None,
    workers: PositiveInt | None = None,
    generation: Literal["A", "B", "C"] = "C",
    auth: Flag = False,
    auth_port: Port = 8000,
    mqtt_auth: Flag = False,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    tls_client_ca: Path | None = None,
    announce: bool | None = None,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Run a local compute server until Ctrl-C.

    Example: `cl-client server --data-dir ~/cl-server`

    Args:
        host: The address to listen on.
        port: The HTTP port; 0 for a free one.
        mqtt_port: The port of the server's own broker; 0 for a free one.
        mqtt_url: A running broker to use instead of an own one, as mqtt://HOST:PORT.
        data_dir: Where jobs are kept; by default a temporary folder.
        workers: How many jobs run at once; by default one per core.
        generation: Which CL Server to behave like; C is the newest.
        auth: Run an auth service, and demand tokens. Its first user is admin, with the password of the
            variable CL_CLIENT_ADMIN_PASSWORD, or else admin.
        auth_port: The auth service's port; 0 for a free one.
        mqtt_auth: Let the server's own broker demand a user name and a token.
        tls_cert: The server's certificate, in PEM format.
        tls_key: The certificate's private key, in PEM format.
        tls_client_ca: Authorities whose certificates clients must show.
        announce: Let cl-client discover find it, by mDNS; by default where other machines can reach it.
        output: How the addresses are told.
    """
    from cl_client_cli.local.serving import run_server

    return run_server(
        output,
        announce=announce,
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
