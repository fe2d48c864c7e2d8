"""The options that commands share, in groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from cyclopts import Group, Parameter
from cyclopts.types import ExistingFile  # noqa: TC002 - read at run time, to parse arguments

Flag: TypeAlias = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option without a value and without a ``--no-`` form."""

_CONNECTION = Group("Connection", sort_key=90)
_OUTPUT = Group("Output", sort_key=80)
_JOBS = Group("Jobs", sort_key=70)


OutputDir = Annotated[Path, Parameter(alias="-d")]
"""The folder of the results."""


@Parameter(name="*", group=_CONNECTION)
@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Where the server is, and which login to use.

    Attributes:
        server: URL of the compute service.
        mqtt: URL of the MQTT broker, or ``off`` to use none. By default the broker on the server's host.
        local: Run the command on a temporary local server; for commands that submit jobs.
        config: Settings file to use instead of cl-client.toml, in TOML or YAML format.
        profile: Profile to use: the section [profiles.NAME] of the settings file.
        auth_url: URL of the auth service.
        user: User whose login is used; by default the user who logged in last.
        ca_file: PEM file of the certificate authorities to trust instead of the system's.
        path_map: A folder here and the same folder on the server, as LOCAL=SERVER, such as
            /mnt/nas=/volume1/photos; the server reads its files in place. Can be repeated.
    """

    server: Annotated[str | None, Parameter(alias="-s", show_default=False)] = None
    mqtt: str | None = None
    local: Flag = False
    config: Path | None = None
    profile: str | None = None
    auth_url: str | None = None
    user: str | None = None
    ca_file: ExistingFile | None = None
    path_map: Annotated[tuple[str, ...], Parameter(negative_iterable=(), show_default=False)] = ()


@Parameter(name="*", group=_OUTPUT)
@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How results are printed.

    Attributes:
        json: Print results as JSON, one object per line; messages go to standard error.
        quiet: Print only results and errors, no progress, warnings or summary.
        verbose: Print more log messages on standard error; give it twice for debug messages.
    """

    json: Flag = False
    quiet: Annotated[Flag, Parameter(alias="-q")] = False
    verbose: Annotated[int, Parameter(alias="-v", count=True, show_default=False)] = 0


@Parameter(name="*", group=_JOBS)
@dataclass(frozen=True, slots=True)
class InputOptions:
    """How inputs are found.

    Attributes:
        recursive: Search subfolders too.
        exclude: Skip files and folders of this name or pattern, such as '*.png', Exports or '2019/**'; can be
            repeated. Files that are named are never skipped.
    """

    recursive: Annotated[Flag, Parameter(alias="-r")] = False
    exclude: Annotated[tuple[str, ...], Parameter(negative_iterable=(), show_default=False)] = ()


@Parameter(name="*", group=_JOBS)
@dataclass(frozen=True, slots=True)
class JobOptions:
    """How jobs are submitted and followed.

    Attributes:
        concurrency: How many jobs run at the same time, 1 to 64.
        timeout: Timeout of each job in seconds, including its upload; by default no limit. A batch continues
            with a job that timed out when it is resumed.
        priority: Priority of the jobs, 0 to 10; higher is more urgent.
        require_worker: Fail immediately if no worker serves the task.
        wait: Wait for the results. With --no-wait, print the job IDs and exit; cl-client jobs wait waits for
            them later.
        give_up_after: Seconds to wait for a server that is unreachable or busy; 0 to fail immediately.
        watch: Print each change of a job; a terminal shows progress bars without it.
        delete_on_cancel: Delete unfinished jobs on the server when they are interrupted or time out.
        upload: Upload all files, also those that the server could read in place from a folder that it shares.
    """

    concurrency: Annotated[int, Parameter(alias="-c")] = 8
    timeout: float | None = None
    priority: int = 5
    require_worker: Flag = False
    wait: Annotated[bool, Parameter(show_default=False)] = True
    give_up_after: float = 300.0
    watch: Flag = False
    delete_on_cancel: Flag = False
    upload: Flag = False


@Parameter(name="*", group=_OUTPUT)
@dataclass(frozen=True, slots=True)
class ResultOptions:
    """Where results go.

    Attributes:
        output: File to write the result to, ``-`` for standard output; for a single input.
        output_dir: Folder to write the results to, named after their inputs. Results that already exist are
            skipped.
        force: Overwrite results that already exist.
    """

    output: Annotated[Path | None, Parameter(alias="-o", allow_leading_hyphen=True)] = None
    output_dir: Annotated[Path | None, Parameter(alias="-d")] = None
    force: Annotated[Flag, Parameter(alias="-f")] = False


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options that all task commands share.

    Attributes:
        inputs: How inputs are found.
        jobs: How jobs are submitted.
        results: Where results go.
        output: How results are printed.
        connection: Where the server is.
    """

    inputs: InputOptions = field(default_factory=InputOptions)
    jobs: JobOptions = field(default_factory=JobOptions)
    results: ResultOptions = field(default_factory=ResultOptions)
    output: OutputOptions = field(default_factory=OutputOptions)
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class BatchOptions:
    """The options of a batch run.

    Attributes:
        report: Write an HTML report with all results to this file.
        retries: How often to retry a job that fails because of a server error or a missing worker. A job that
            timed out is not retried.
        jobs: How jobs are submitted.
        output: How results are printed.
        connection: Where the server is.
    """

    report: Path | None = None
    retries: int = 2
    jobs: JobOptions = field(default_factory=JobOptions)
    output: OutputOptions = field(default_factory=OutputOptions)
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class SharedOptions:
    """The options that can be given before or after the command.

    Attributes:
        timeout: Timeout of each job in seconds, for commands that wait for jobs.
        output: How results are printed.
        connection: Where the server is.
    """

    timeout: Annotated[float | None, Parameter(group=_JOBS)] = None
    output: OutputOptions = field(default_factory=OutputOptions)
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)


DEFAULT_CONNECTION: Final = ConnectionOptions()
DEFAULT_OUTPUT: Final = OutputOptions()
DEFAULT_INPUTS: Final = InputOptions()
DEFAULT_JOBS: Final = JobOptions()
DEFAULT_RUN: Final = RunOptions()
DEFAULT_BATCH: Final = BatchOptions()
DEFAULT_SHARED: Final = SharedOptions()
