"""Takes out of the environment what settings and libraries read: tests do not depend on whose machine it is.

Tests keep their own variables (``CL_TEST_*``), and those of pytest, coverage and the system. The home folder
and those below it, for settings, caches and data, become folders of each test.
"""

from __future__ import annotations

import os
import re
import site
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_KEPT: Final = re.compile(r"(CL_TEST_|PYTEST_|COV_|COVERAGE_)", re.IGNORECASE)
_REMOVED: Final = re.compile(
    r"""
    (CL_CLIENT|COMPUTE_SERVER|MQTT|PYTHON_KEYRING|KEYRING|OTEL|UVICORN|XDG|SSL_CERT|WIN_PD_OVERRIDE)_.*
    | .*_PROXY | REQUEST_METHOD | NETRC | SSLKEYLOGFILE | (REQUESTS|CURL)_CA_BUNDLE
    | FORWARDED_ALLOW_IPS | WEB_CONCURRENCY
    | COLUMNS | LINES | (FORCE|NO)_COLOR | CLICOLOR(_FORCE)? | TTY_(COMPATIBLE|INTERACTIVE) | COLORTERM
    | TZ | LC_.* | LANG | LANGUAGE
    """,
    re.IGNORECASE | re.VERBOSE,
)


def clean() -> None:
    """Clean the environment of this process, and so of all that it starts."""
    for name in [*os.environ]:
        if _REMOVED.fullmatch(name) and not _KEPT.match(name):
            del os.environ[name]
    if hasattr(time, "tzset"):
        time.tzset()
    os.environ.setdefault("PYTHONUSERBASE", site.getuserbase())  # by default it is below the home folder


@contextmanager
def with_home(home: Path) -> Generator[None]:
    """Another home folder for a while, which need not exist; then the environment is as it was before."""
    before = dict(os.environ)
    os.environ.update(_folders(home))
    yield
    for name in [*os.environ]:
        if name not in before and not _KEPT.match(name):
            del os.environ[name]
    os.environ.update({name: value for name, value in before.items() if not _KEPT.match(name)})


def _folders(home: Path) -> dict[str, str]:
    """What names the home folder and those below it; whoever writes into one makes it."""
    below = {
        "APPDATA": "AppData/Roaming",
        "LOCALAPPDATA": "AppData/Local",
        "WIN_PD_OVERRIDE_APPDATA": "AppData/Roaming",
        "WIN_PD_OVERRIDE_LOCAL_APPDATA": "AppData/Local",
        "XDG_CACHE_HOME": ".cache",
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
        "XDG_STATE_HOME": ".local/state",
    }
    return {"HOME": str(home), "USERPROFILE": str(home)} | {
        name: str(home / it) for name, it in below.items()
    }
