"""The commands that start a local server: `cl-client demo` and `cl-client server`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - read at run time, to parse arguments
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import Port, PositiveFloat, PositiveInt  # noqa: TC002 - read at run time, to parse arguments

from cl_client_cli.frame.options import DEFAULT_OUTPUT, Flag, OutputDir, OutputOptions


def demo(
    *photos: Path,
    output_dir: OutputDir | None = None,
    keep: bool = True,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Run every suitable task for some photos on a temporary local server.

    The exit code is 1 if a job failed.

    Example: `cl-client demo photo.jpg`

    Args:
        photos: Photos or videos; by default generated samples.
        output_dir: Folder for the results; by default a new folder ./cl-client-demo, -2, -3 ...
        keep: Keep the result files; with --no-keep, only show the results.
        output: How results are printed.

    Returns:
        The exit code.
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
    generation: Literal["A", "A1", "A2", "B", "C", "C2"] = "C",
    real_faults: Flag = False,
    poll_interval: PositiveFloat | None = None,
    tasks: str | None = None,
    auth: Flag = False,
    auth_port: Port = 8000,
    mqtt_auth: Flag = False,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    tls_client_ca: Path | None = None,
    announce: bool | None = None,
    share: Annotated[tuple[Path, ...], Parameter(negative_iterable=(), show_default=False)] = (),
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Run a local compute server until Ctrl-C.

    Example: `cl-client server --data-dir ~/cl-server --share ~/Pictures`

    Args:
        host: Address to listen on.
        port: HTTP port; 0 for any free port.
        mqtt_port: Port of the built-in MQTT broker; 0 for any free port.
        mqtt_url: Existing broker to use instead of the built-in one, as mqtt://HOST:PORT.
        data_dir: Folder for jobs; by default a temporary folder.
        workers: Number of jobs that run at the same time; by default one per core.
        generation: CL Server generation to emulate; C2 is the newest. See docs/local-server.md.
        real_faults: Fail where real servers of the generation fail, in their words.
        poll_interval: Seconds that an idle worker waits before it looks for jobs again, as real ones do; by
            default a job starts at once.
        tasks: Names of the tasks to offer, separated by commas; by default all, also those of installed
            packages.
        auth: Run an auth service, and require tokens. The first user is admin; the password is the value of
            CL_CLIENT_ADMIN_PASSWORD, or admin if that is not set.
        auth_port: Port of the auth service; 0 for any free port.
        mqtt_auth: Require a user name and a token as the password for the built-in broker.
        tls_cert: TLS certificate of the server, in PEM format.
        tls_key: Private key of the certificate, in PEM format.
        tls_client_ca: Certificate authorities that client certificates must be signed by, in PEM format.
        announce: Announce the server by mDNS, so that cl-client discover finds it; by default if other
            machines can reach it.
        share: Folder whose files jobs may read in place instead of uploading them; can be repeated. The files
            are never changed. If other machines can reach the server, this requires --auth.
        output: How the addresses are printed.

    Returns:
        The exit code.
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
        real_faults=real_faults,
        poll_interval=poll_interval,
        tasks=tasks,
        auth=auth,
        auth_port=auth_port,
        mqtt_auth=mqtt_auth,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_client_ca=tls_client_ca,
        shared=share,
    )
