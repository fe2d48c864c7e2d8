"""A folder with a photo, a server that shares it, and requests by reference past the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
from pydantic import TypeAdapter

from cl_client._transfers.references import PATH_FIELD, PROOF_HEADER, proof_of
from cl_client._transfers.share_key import read_share_key
from cl_client.local.samples import draw_photo
from cl_client.models import JSONObject

if TYPE_CHECKING:
    from pathlib import Path

    from cl_client.local import LocalServer


def photo_folder(parent: Path) -> Path:
    """A folder with ``a.jpg``; real, as servers resolve links."""
    folder = parent.resolve() / "photos"
    folder.mkdir()
    draw_photo(folder / "a.jpg", size=(64, 48))
    return folder


def key_file(server: LocalServer) -> str:
    return str(json_of(httpx.get(f"{server.base_url}/shared-folders"))["key_file"])


def json_of(answer: httpx.Response) -> JSONObject:
    return TypeAdapter(JSONObject).validate_json(answer.content)


def post_path(
    server: LocalServer,
    path: Path | str,
    *,
    task: str = "hash",
    headers: dict[str, str] | httpx.Headers | None = None,
    **fields: str,
) -> httpx.Response:
    """Submit a path as it is, with the right proof unless there are other headers."""
    if headers is None:
        key = read_share_key(key_file(server))
        headers = {PROOF_HEADER: proof_of(key, task, str(path))}
    form = {name: (None, value) for name, value in ({PATH_FIELD: str(path)} | fields).items()}
    return httpx.post(f"{server.base_url}/jobs/{task}", files=form, headers=headers)


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Everything below a folder, with size and time, to see that nothing was written."""
    states = {path.relative_to(folder).as_posix(): path.lstat() for path in [folder, *folder.rglob("*")]}
    return {name: (state.st_size, state.st_mtime_ns) for name, state in states.items()}
