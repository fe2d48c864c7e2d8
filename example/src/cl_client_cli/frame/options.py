"""The options that commands share, each group of them once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from cyclopts import Group, Parameter
from cyclopts.types import ExistingFile  # noqa: TC002 - read at run time, to parse arguments

Flag: TypeAlias = Annotated[bool, Parameter(negative=(), show_default=False)]
"""An option that is there or not, without a ``--no-`` of its own."""

_CONNECTION = Group("Connection", sort_key=90)
_OUTPUT = Group("Output", sort_key=80)
_JOBS = Group("Jobs", sort_key=70)


OutputDir = Annotated[Path, Parameter(alias="-d")]
"""Where results go, or where those of a batch are."""


@Parameter(name="*", group=_CONNECTION)
@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Where the server is, and as whom to talk to it.

    Attributes:
        server: The compute service.
        mqtt: The broker, ``off`` for none. By default on the server's host.
        local: Run the command, one that submits jobs, on a local server of its own.
        config: A settings file, .toml or .yaml, in place of cl-client.toml.
        profile: The section [profiles.NAME] of the settings file.
        auth_url: The auth service.
        user: Whose login is used; by default that of the last one.
        ca_file: PEM file of the authorities to trust, in place of the system's.
    """

    server: Annotated[str | None, Parameter(alias="-s", show_default=False)] = None
    mqtt: str | None = None
    local: Flag = False
    config: Path | None = None
    profile: str | None = None
    auth_url: str | None = None
    user: str | None = None
    ca_file: ExistingFile | None = None


@Parameter(name="*", group=_OUTPUT)
@dataclass(frozen=True, slots=True)
class OutputOptions:
    """How results are told.

    Attributes:
        json: One JSON object per line on standard output; everything else goes to standard error.
        quiet: No progress and no summary; errors and results only.
        verbose: Say more on standard error; twice, everything.
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
    """

    recursive: Annotated[Flag, Parameter(alias="-r")] = False


@Parameter(name="*", group=_JOBS)
@dataclass(frozen=True, slots=True)
class JobOptions:
    """How jobs are submitted and followed.

    Attributes:
        concurrency: Jobs at the same time.
        timeout: Seconds for each job, its upload included; by default no limit. A batch takes a job up again
            when it is resumed.
        priority: 0-10.
        require_worker: Fail at once if no worker serves the task.
        wait: Wait for the results, or print the jobs' ids and leave; jobs wait takes them up again.
        give_up_after: Seconds for which jobs wait for a server that is gone or busy; 0 to end at once.
        watch: Print each change of a job as it happens; a terminal shows bars anyway.
        delete_on_cancel: Delete what still runs at the server when it is interrupted or its time is up.
    """

    concurrency: Annotated[int, Parameter(alias="-c")] = 8
    timeout: float | None = None
    priority: int = 5
    require_worker: Flag = False
    wait: Annotated[bool, Parameter(show_default=False)] = True
    give_up_after: float = 300.0
    watch: Flag = False
    delete_on_cancel: Flag = False


@Parameter(name="*", group=_OUTPUT)
@dataclass(frozen=True, slots=True)
class ResultOptions:
    """Where results go.

    Attributes:
        output: The result's file, ``-`` for standard output; for one input.
        output_dir: The folder of the results, named like their inputs. Results that exist already are
            not made again.
        force: Make results again that exist already.
    """

    output: Annotated[Path | None, Parameter(alias="-o", allow_leading_hyphen=True)] = None
    output_dir: Annotated[Path | None, Parameter(alias="-d")] = None
    force: Annotated[Flag, Parameter(alias="-f")] = False


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class RunOptions:
    """All that the plugin commands have in common.

    Attributes:
        inputs: How inputs are found.
        jobs: How jobs are submitted.
        results: Where results go.
        output: How results are told.
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
    """What running a batch can be told.

    Attributes:
        report: Write a page with all results, to be opened in a browser.
        retries: How often what fails for want of a worker, or by a fault of the server, is tried again. A job
            whose time is up is not.
        jobs: How jobs are submitted.
        output: How results are told.
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
    """What may stand before the command as well as behind it.

    Attributes:
        timeout: Seconds for each job, for commands that wait for jobs.
        output: How results are told.
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
