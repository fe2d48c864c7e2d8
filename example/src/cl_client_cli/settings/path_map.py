"""The setting `path_map`: which folders of this machine are which folders on the server's disk."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cl_client import ConfigurationError, InvalidParameterError, ServerPath
from cl_client_cli.frame.usage import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePath
    from typing import Self

PATH_MAP: Final = "path_map"
"""The name of the setting."""
_BEFORE_SERVERS_FOLDER: Final = re.compile(r"=(?=/|\\\\|[A-Za-z]:[\\/])")
_ANY_NAME: Final = "x"


@dataclass(frozen=True, slots=True)
class PathMap:
    """Folders of this machine, with their paths on the server's disk.

    Attributes:
        folders: The pairs.
    """

    folders: tuple[tuple[Path, PurePath], ...] = ()

    @classmethod
    def of(cls, folders: Mapping[str, str], origin: str) -> Self:
        """Check the pairs of a setting.

        Args:
            folders: The server's folder for each folder of this machine.
            origin: Where they were set, for messages.

        Returns:
            The map.

        Raises:
            ConfigurationError: A folder is not absolute.
        """
        pairs: list[tuple[Path, PurePath]] = []
        for local, there in folders.items():
            if not Path(local).is_absolute():
                raise ConfigurationError(f"{PATH_MAP}: {local!r} must be an absolute path (from {origin})")
            try:
                a_file = ServerPath(f"{there.rstrip('/')}/{_ANY_NAME}")
            except InvalidParameterError:
                raise ConfigurationError(
                    f"{PATH_MAP}: {there!r} must be the absolute path of a folder on the server, "
                    f"such as /volume1/photos (from {origin})"
                ) from None
            pairs.append((Path(local), a_file.pure_path.parent))
        return cls(tuple(pairs))

    def places_of(self, file: Path) -> list[PurePath]:
        """Find where the server has a file, by its path as given and without links. Blocks.

        Args:
            file: The file.

        Returns:
            Its paths on the server, the closest first; empty if it is in none of the folders.
        """
        paths = (file.absolute(), file.resolve())
        found = {
            there.joinpath(*path.relative_to(folder).parts): folder
            for path in paths
            for folder, there in self.folders
            if path.is_relative_to(folder)
        }
        return sorted(found, key=lambda place: -len(found[place].parts))

    def as_options(self) -> tuple[str, ...]:
        """The map as values of ``--path-map``.

        Returns:
            One LOCAL=SERVER for each pair.
        """
        return tuple(f"{local}={there}" for local, there in self.folders)


NO_MAP: Final = PathMap()


def parsed_pairs(texts: Sequence[str], origin: str) -> dict[str, str]:
    """Read pairs of folders from the command line or the environment.

    Args:
        texts: Each as LOCAL=SERVER; a relative LOCAL is relative to the current folder.
        origin: Where they were set, for messages.

    Returns:
        The server's folder for each absolute folder of this machine.

    Raises:
        UsageError: A text is no such pair.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        local, *there = _BEFORE_SERVERS_FOLDER.split(text, maxsplit=1)
        if not local or not there:
            raise UsageError(
                f"{origin} {text}: must be LOCAL=SERVER, a folder here and its absolute path on the server, "
                "such as /mnt/nas=/volume1/photos"
            )
        pairs[str(Path(local).expanduser().absolute())] = there[0]
    return pairs
