"""Where this installation of cl_client came from, for the `pyproject.toml` of a new package."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import BaseModel, ValidationError

_PACKAGES: Final = ("cl_client", "cl-client-cli")


class _Folder(BaseModel):
    editable: bool = False


class _Repository(BaseModel):
    vcs: str
    commit_id: str


class _Origin(BaseModel):
    """The file ``direct_url.json`` of a distribution that did not come from an index (PEP 610)."""

    url: str
    dir_info: _Folder | None = None
    vcs_info: _Repository | None = None
    subdirectory: str | None = None


def uv_sources() -> str:
    """Name the folders, archives or repositories that cl_client was installed from.

    Returns:
        A section for `pyproject.toml`; empty if cl_client came from an index.
    """
    found = ((package, _source(package)) for package in _PACKAGES)
    lines = [f"{package} = {{ {source} }}" for package, source in found if source]
    if not lines:
        return ""
    return "\n".join(
        ("", "# This installation of cl_client did not come from an index.", "[tool.uv.sources]", *lines, "")
    )


def _source(package: str) -> str:
    try:
        text = distribution(package).read_text("direct_url.json")
        origin = _Origin.model_validate_json(text or "")
    except (PackageNotFoundError, ValidationError):
        return ""
    address = urlsplit(origin.url)
    values: dict[str, object] = {"url": origin.url}
    if origin.vcs_info is not None:
        if origin.vcs_info.vcs != "git":
            return ""
        values = {"git": origin.url, "rev": origin.vcs_info.commit_id}
    elif address.scheme == "file":
        values = {"path": url2pathname(address.path)}
    if origin.dir_info is not None and origin.dir_info.editable:
        values["editable"] = True
    if origin.subdirectory is not None:
        values["subdirectory"] = origin.subdirectory
    return ", ".join(f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
