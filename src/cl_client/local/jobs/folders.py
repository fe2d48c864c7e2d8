"""The folders of jobs: one each, with ``input`` and ``output`` and whatever a task adds."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

INPUT_FOLDER = "input"


class OutsideJobFolderError(Exception):
    """A path leads out of the job's folder."""


class JobFolders:
    """All job folders of a server. The methods block: call them in a thread.

    Uploads arrive in a folder of their own, so that a job's folder is complete from the moment it is there,
    and what a crash leaves of an upload is known as such.
    """

    def __init__(self, data_dir: Path) -> None:
        self.jobs = data_dir / "jobs"
        self.uploads = data_dir / "uploads"

    def prepare(self) -> None:
        """Make the folders and remove interrupted uploads."""
        self.jobs.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.uploads, ignore_errors=True)
        self.uploads.mkdir()

    def admit(self, job_id: str) -> None:
        """Turn a complete upload into the folder of its job."""
        (self.uploads / job_id).rename(self.jobs / job_id)

    def remove(self, job_id: str) -> int:
        """Remove a job's folder and whatever was uploaded for it; the bytes that were freed."""
        freed = _size(self.jobs / job_id)
        shutil.rmtree(self.jobs / job_id, ignore_errors=True)
        shutil.rmtree(self.uploads / job_id, ignore_errors=True)
        return freed

    def total_size(self) -> int:
        """Bytes of all files of all jobs."""
        return _size(self.jobs)

    def resolve(self, job_id: str, file_path: str) -> Path:
        """The file of a job behind a path that a client sent.

        Raises:
            OutsideJobFolderError: It leads out of the job's folder, by dots, by being absolute or by a link.
            FileNotFoundError: There is no such file.
            IsADirectoryError: It is a folder.
        """
        folder = (self.jobs / job_id).resolve()
        try:
            path = (folder / file_path).resolve()
            inside, exists, is_file = path.is_relative_to(folder), path.exists(), path.is_file()
        except (OSError, RuntimeError, ValueError) as exc:
            # A name too long for the file system, a ring of links, a NUL character.
            raise FileNotFoundError(file_path) from exc
        if not inside:
            raise OutsideJobFolderError(file_path)
        if not exists:
            raise FileNotFoundError(file_path)
        if not is_file:
            raise IsADirectoryError(file_path)
        return path


def _size(folder: Path) -> int:
    """Bytes of the files below a folder; files that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total
