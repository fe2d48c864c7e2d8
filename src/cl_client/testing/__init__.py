"""For the tests of applications: servers with faults, recorded sessions, and fixtures for pytest.

Needs the extra ``testing``. The fixtures are a pytest plugin that is found by itself, see
`cl_client.testing.pytest_plugin`. Names are imported when they are first used, as pytest loads this package
in every run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cl_client.testing.broker_proxy import BrokerProxy
    from cl_client.testing.exchange import Exchange, Fault, HangUp
    from cl_client.testing.fault_proxy import FaultProxy
    from cl_client.testing.faults import (
        Stall,
        cut,
        http_response,
        misstate_length,
        pass_on,
        refuse,
        reply,
        reset,
        trickle,
    )
    from cl_client.testing.faulty_server import FaultyServer
    from cl_client.testing.job_faults import HeldJob
    from cl_client.testing.pytest_plugin import ServerAddress
    from cl_client.testing.recording import SessionRecorder
    from cl_client.testing.replay import SessionReplay
    from cl_client.testing.stub_server import StubServer

_MODULES = {
    "broker_proxy": ("BrokerProxy",),
    "exchange": ("Exchange", "Fault", "HangUp"),
    "fault_proxy": ("FaultProxy",),
    "faults": (
        "Stall",
        "cut",
        "http_response",
        "misstate_length",
        "pass_on",
        "refuse",
        "reply",
        "reset",
        "trickle",
    ),
    "faulty_server": ("FaultyServer",),
    "job_faults": ("HeldJob",),
    "pytest_plugin": ("ServerAddress",),
    "recording": ("SessionRecorder",),
    "replay": ("SessionReplay",),
    "stub_server": ("StubServer",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "BrokerProxy",
    "Exchange",
    "Fault",
    "FaultProxy",
    "FaultyServer",
    "HangUp",
    "HeldJob",
    "ServerAddress",
    "SessionRecorder",
    "SessionReplay",
    "Stall",
    "StubServer",
    "cut",
    "http_response",
    "misstate_length",
    "pass_on",
    "refuse",
    "reply",
    "reset",
    "trickle",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'cl_client.testing' has no attribute {name!r}")
    try:
        module = import_module(f"cl_client.testing.{_MODULE_OF[name]}")
    except ImportError as exc:
        if (exc.name or "cl_client").partition(".")[0] == "cl_client":
            raise
        from cl_client.exceptions import MissingExtraError

        raise MissingExtraError(f"cl_client.testing.{name}", "testing") from exc
    value = cast("object", getattr(module, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
