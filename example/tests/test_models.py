"""`cl-client models` against a mirror on a real HTTP server in this process."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator

    from command_lines import RunCLI


FILES = {
    "mobileclip": "mobileclip_blt_vision_model.onnx",
    "dinov2": "dinov2_vits14.onnx",
    "arcface": "arcface_face_embedding.onnx",
    "yunet": "face_detection_yunet_2023mar.onnx",
}


class ListedModel(BaseModel):
    name: str
    url: str
    file_name: str
    sha256: str | None
    path: Path | None


class QuietHandler(SimpleHTTPRequestHandler):
    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """The folder that the mirror serves: a file for each model, none of them a real one."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name, file_name in FILES.items():
        (folder / file_name).write_bytes(name.encode() * 100_000)
    return folder


@pytest.fixture(autouse=True)
def models_folder(mirror: Path, tmp_path: Path, cli_environment: dict[str, str]) -> Iterator[Path]:
    """Where the commands keep models, and fetch them from the mirror."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(mirror))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        cli_environment["CL_CLIENT_MODELS_MIRROR"] = f"http://127.0.0.1:{server.server_port}"
        cli_environment["CL_CLIENT_MODELS"] = str(tmp_path / "models")
        yield tmp_path / "models"
        server.shutdown()
        thread.join()


def listed(run_cli: RunCLI, *options: str) -> dict[str, ListedModel]:
    shown = run_cli("models", "list", "--json", *options)
    assert shown.returncode == 0, shown.stderr
    models = [ListedModel.model_validate_json(line) for line in shown.stdout.splitlines()]
    return {model.name: model for model in models}


def test_all_models_are_listed_and_none_is_there_yet(run_cli: RunCLI) -> None:
    models = listed(run_cli)
    assert {name: model.file_name for name, model in models.items()} == FILES
    assert all(model.path is None for model in models.values())
    assert all(model.url.startswith("https://") for model in models.values())
    table = run_cli("models", "list")
    assert table.returncode == 0
    assert table.stdout.count("not installed") == len(FILES)


def test_named_models_are_pulled_and_then_listed(run_cli: RunCLI, mirror: Path, models_folder: Path) -> None:
    shown = run_cli("models", "pull", "dinov2", "mobileclip", "dinov2")
    assert shown.returncode == 0, shown.stderr
    assert not shown.stderr
    paths = {name: models_folder / FILES[name] for name in ("dinov2", "mobileclip")}
    assert shown.stdout.splitlines() == [f"{name}: {path}" for name, path in paths.items()]
    for path in paths.values():
        assert path.read_bytes() == (mirror / path.name).read_bytes()
    assert {name: model.path for name, model in listed(run_cli).items() if model.path} == paths
    table = run_cli("models", "list").stdout
    assert table.count("not installed") == 2
    assert str(paths["dinov2"]) in table


def test_all_are_pulled_unless_some_are_named_and_a_wrong_one_does_not_stop_the_others(
    run_cli: RunCLI, models_folder: Path
) -> None:
    shown = run_cli("models", "pull")
    assert shown.returncode == 1
    # The mirror's YuNet is not the published one.
    assert FILES["yunet"] in shown.stderr
    assert shown.stderr.count("SHA-256") == 2
    assert len(shown.stderr.splitlines()) == 1
    there = {name for name, model in listed(run_cli).items() if model.path is not None}
    assert there == FILES.keys() - {"yunet"}
    assert not list(models_folder.glob("*yunet*"))


def test_what_is_there_is_not_fetched_again(run_cli: RunCLI, mirror: Path) -> None:
    assert run_cli("models", "pull", "arcface").returncode == 0
    (mirror / FILES["arcface"]).unlink()
    again = run_cli("models", "pull", "arcface")
    assert again.returncode == 0, again.stderr
    assert FILES["arcface"] in again.stdout


def test_another_folder_can_be_named(run_cli: RunCLI, work_folder: Path) -> None:
    shown = run_cli("models", "pull", "dinov2", "--models-dir", "elsewhere")
    assert shown.returncode == 0, shown.stderr
    path = work_folder / "elsewhere" / FILES["dinov2"]
    assert path.is_file()
    assert listed(run_cli)["dinov2"].path is None
    assert listed(run_cli, "--models-dir", "elsewhere")["dinov2"].path == path


def test_a_model_that_cannot_be_had_is_named_with_its_address(run_cli: RunCLI, mirror: Path) -> None:
    (mirror / FILES["dinov2"]).unlink()
    shown = run_cli("models", "pull", "dinov2")
    assert shown.returncode == 1
    assert f"/{FILES['dinov2']} answers 404" in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


def test_a_mirror_that_is_no_url_is_wrong_use(run_cli: RunCLI, cli_environment: dict[str, str]) -> None:
    cli_environment["CL_CLIENT_MODELS_MIRROR"] = "mirror.example"
    shown = run_cli("models", "pull", "dinov2")
    assert shown.returncode == 2
    assert "models_mirror" in shown.stderr.lower()
    assert len(shown.stderr.splitlines()) == 1


def test_a_folder_that_cannot_be_written_is_named(run_cli: RunCLI, models_folder: Path) -> None:
    models_folder.write_text("a file in the folder's place", encoding="utf-8")
    shown = run_cli("models", "pull", "dinov2")
    assert shown.returncode == 1
    assert str(models_folder) in shown.stderr
    assert "Traceback" not in shown.stderr
