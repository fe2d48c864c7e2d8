"""Job folders: one per job, with ``input``, ``output`` and the files that a task adds."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

INPUT_FOLDER = "input"


_SMALL: Final = 64 * 1024
"""Size in bytes up to which a file is read together with its checks: each call in a thread costs more."""


class OutsideJobFolderError(Exception):
    """A path points outside the job's folder."""


class NoJobFolderError(FileNotFoundError):
    """The job has no folder: somebody has removed it from the disk."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file of a job.

    Attributes:
        path: Its absolute path.
        state: Its size and time.
        content: The whole file, if it is small.
    """

    path: Path
    state: os.stat_result
    content: bytes | None = None


class JobFolders:
    """All job folders of a server. The methods block: call them in a thread.

    Uploads are written to a separate folder, so that a job's folder is complete as soon as it exists, and
    incomplete uploads can be removed after a crash.

    Args:
        data_dir: The server's data folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self.jobs = data_dir / "jobs"
        self.uploads = data_dir / "uploads"

    def prepare(self) -> None:
        """Create the folders and remove incomplete uploads."""
        self.jobs.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.uploads, ignore_errors=True)
        self.uploads.mkdir()

    def admit(self, job_id: str, file_name: str, content: bytes | None = None) -> None:
        """Make the folder of a job that was received.

        Args:
            job_id: The job.
            file_name: The name of its file.
            content: What to write to that file; None if it is in the folder of the upload, or was not
                uploaded.
        """
        uploaded, folder = self.uploads / job_id, self.jobs / job_id
        if content is not None:
            uploaded.mkdir()
            input_folder = uploaded / INPUT_FOLDER
            input_folder.mkdir()
            with (input_folder / file_name).open("xb") as file:
                file.write(content)
        elif not uploaded.exists():
            folder.mkdir()
            return
        uploaded.rename(folder)

    def remove(self, job_id: str) -> int:
        """Remove a job's folder and its upload.

        Args:
            job_id: The job; it may have neither.

        Returns:
            The size of the removed job folder, in bytes.
        """
        freed = _size(self.jobs / job_id)
        shutil.rmtree(self.jobs / job_id, ignore_errors=True)
        shutil.rmtree(self.uploads / job_id, ignore_errors=True)
        return freed

    def total_size(self) -> int:
        """Measure the files of all jobs.

        Returns:
            Their total size in bytes.
        """
        return _size(self.jobs)

    def find(self, job_id: str, file_path: str) -> FoundFile:
        """Find a file of a job by a path that a client sent, and read it if it is small.

        Args:
            job_id: The job.
            file_path: Path relative to the job's folder.

        Returns:
            The file.

        Raises:
            NoJobFolderError: The job has no folder.
            OutsideJobFolderError: The path points outside the job's folder: ``..``, absolute, or a symlink.
            FileNotFoundError: The file was not found.
            IsADirectoryError: The path is a folder.
        """
        path = self.resolve(job_id, file_path)
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            if state.st_size <= _SMALL:
                content = file.read(_SMALL + 1)
                if len(content) == state.st_size:
                    return FoundFile(path, state, content)
        return FoundFile(path, state)

    def resolve(self, job_id: str, file_path: str) -> Path:
        """Find a file of a job by a path that a client sent.

        Args:
            job_id: The job.
            file_path: Path relative to the job's folder.

        Returns:
            The absolute path of an existing file.

        Raises:
            NoJobFolderError: The job has no folder.
            OutsideJobFolderError: The path points outside the job's folder: ``..``, absolute, or a symlink.
            FileNotFoundError: The file was not found.
            IsADirectoryError: The path is a folder.
        """
        folder = (self.jobs / job_id).resolve()
        if not folder.exists():
            raise NoJobFolderError(job_id)
        try:
            path = (folder / file_path).resolve()
            inside, exists, is_file = path.is_relative_to(folder), path.exists(), path.is_file()
        except (OSError, RuntimeError, ValueError) as exc:
            # A name too long for the file system, a loop of symlinks, a NUL character.
            raise FileNotFoundError(file_path) from exc
        if not inside:
            raise OutsideJobFolderError(file_path)
        if not exists:
            raise FileNotFoundError(file_path)
        if not is_file:
            raise IsADirectoryError(file_path)
        return path


def _size(folder: Path) -> int:
    """Return the total size of the files in a folder, in bytes; files that vanish meanwhile are skipped."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return total
