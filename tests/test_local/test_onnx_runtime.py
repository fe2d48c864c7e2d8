"""ONNX Runtime keeps quiet: it leaves no files behind, and does not report to its makers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# With these set, ONNX Runtime does not report anyway.
_OF_CI = {"CI", "TF_BUILD", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY"}


def test_loading_a_model_leaves_no_files_behind(tmp_path: Path) -> None:
    folders = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "TMPDIR", "TEMP"), str(tmp_path))
    code = (
        "from cl_client.local.models.catalog import INCLUDED, MODELS\n"
        "from cl_client.local.tasks.faces.yunet import YuNet\n"
        "YuNet(MODELS['yunet'].path_in(INCLUDED))\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in _OF_CI}
    subprocess.run([sys.executable, "-c", code], env={**environment, **folders}, check=True)  # noqa: S603 - this Python
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
