"""Compiled modules are kept, also where the environment forbids it, as many containers do.

Otherwise each of the many Python processes of a test run compiles all its libraries anew, which takes half of
the time of the whole run.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_FORBIDDEN = "PYTHONDONTWRITEBYTECODE"
_FOLDER = "PYTHONPYCACHEPREFIX"


def keep_bytecode(config: pytest.Config) -> None:
    """Keep it in pytest's cache, for this process and all that it starts."""
    if not os.environ.get(_FORBIDDEN) or not config.pluginmanager.has_plugin("cacheprovider"):
        return
    del os.environ[_FORBIDDEN]
    folder = config.cache.mkdir("bytecode")
    # What earlier runs have compiled of modules in their temporary folders.
    temporary = Path(tempfile.gettempdir())
    shutil.rmtree(folder / temporary.relative_to(temporary.anchor), ignore_errors=True)
    sys.dont_write_bytecode = False
    sys.pycache_prefix = os.environ[_FOLDER] = str(folder)
