"""What a search of folders skips: hidden entries, those of systems, and what the user excludes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase, translate
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cl_client_cli.frame.usage import UsageError
from cl_client_cli.tasks.path_patterns import fits

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_SHOWN_EXAMPLES: Final = 6

# Sources: the manuals of these systems, and the lists of Jellyfin, Syncthing, Immich and of the templates of
# gitignore. Not here: names that a user may have chosen, such as "Thumbnails" or "Recycled"; .nomedia, which
# marks a folder with the user's own photos.
_SYSTEM_NAMES: Final = (
    *("@eadir", "#recycle", "#snapshot", "@sharesnap"),  # Synology: thumbnails, deleted files, snapshots
    *("@recycle", "@recently-snapshot", "@transcode", ".@__thumb"),  # QNAP
    *("~snapshot", ".snapshot", ".zfs"),  # snapshots of NetApp and ZFS
    *("lost+found", ".trash", ".trash-*", ".recycle"),  # Linux, its desktops, Samba
    *("$recycle.bin", "recycler", "system volume information"),  # Windows
    *("thumbs.db", "thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),
    *("__macosx", ".ds_store", "._*", ".appledouble", ".appledb", ".appledesktop"),  # macOS
    *(".spotlight-v100", ".trashes", ".fseventsd", ".temporaryitems", ".documentrevisions-v100", ".apdisk"),
    *("network trash folder", "temporary items", "icon\r", ".localized"),
    *(".thumbnails", ".trashed-*", ".pending-*"),  # Android
    "*.lrdata",  # previews of Lightroom
)
_IS_SYSTEM: Final = re.compile("|".join(map(translate, _SYSTEM_NAMES))).match


class Reason(StrEnum):
    """Why something is skipped; the value is how it is reported."""

    SYSTEM = "created by systems or programs"
    HIDDEN = "hidden"
    EXCLUDED = "excluded"
    OTHER_TYPE = "of other file types"
    RESULT = "made by earlier commands"
    LINK = "found already by another path"
    NO_FILE = "unusable, such as broken links"
    SUBFOLDER = "searched only with --recursive"


_COUNTED_EXAMPLES: Final = frozenset({Reason.SYSTEM, Reason.OTHER_TYPE})
_WITHOUT_EXAMPLES: Final = frozenset({Reason.HIDDEN, Reason.RESULT, Reason.SUBFOLDER})


@dataclass(frozen=True, slots=True)
class Skipped:
    """Counts what a search has skipped, a folder as one."""

    _counts: dict[Reason, Counter[str]] = field(default_factory=dict[Reason, Counter[str]])

    def add(self, reason: Reason, example: str = "") -> None:
        """Count a file or folder.

        Args:
            reason: Why it is skipped.
            example: What to name in the report: a name, a suffix, or a pattern.
        """
        self._counts.setdefault(reason, Counter())[example] += 1

    def report(self) -> str:
        """Tell the number for each reason.

        Returns:
            A sentence; empty if nothing was skipped.
        """
        parts = [
            f"{examples.total()} {reason}{_shown(reason, examples)}"
            for reason in Reason
            if (examples := self._counts.get(reason))
        ]
        total = sum(examples.total() for examples in self._counts.values())
        things = "file or folder" if total == 1 else "files and folders"
        return f"Skipped {total} {things}: {', '.join(parts)}" if parts else ""


def _shown(reason: Reason, examples: Counter[str]) -> str:
    if reason in _WITHOUT_EXAMPLES:
        return ""
    is_counted = reason in _COUNTED_EXAMPLES and len(examples) > 1
    names = [
        f"{number} {name}" if is_counted and number > 1 else name
        for name, number in examples.most_common(_SHOWN_EXAMPLES)
    ]
    more = ["..."] if len(examples) > len(names) else []
    return f" ({', '.join((*names, *more))})"


@dataclass(frozen=True, slots=True)
class SkipRules:
    """Decides by name what is skipped.

    Attributes:
        exclude: The patterns of the user.
        hidden: Include names that start with a dot.
        named: Names in lower case that the user has written out, and so are not skipped.
    """

    exclude: Sequence[str] = ()
    hidden: bool = False
    named: Collection[str] = ()

    def reason(self, path: Path, below: Path, *, is_folder: bool) -> tuple[Reason, str] | None:
        """Tell why a file or folder is skipped.

        Args:
            path: Its path.
            below: The folder that is searched.
            is_folder: Whether it is a folder.

        Returns:
            The reason and an example; None if it is not skipped.
        """
        name = path.name.lower()
        if name not in self.named and _IS_SYSTEM(name):
            return Reason.SYSTEM, path.name
        if not self.hidden and name.startswith("."):
            return Reason.HIDDEN, path.name
        if excluded := self.excluding(path, below, is_folder=is_folder):
            return Reason.EXCLUDED, excluded
        return None

    def excluding(self, path: Path, below: Path, *, is_folder: bool) -> str | None:
        """Find the first pattern of the user that is for a file or folder.

        Args:
            path: Its path.
            below: The folder that is searched.
            is_folder: Whether it is a folder.

        Returns:
            The pattern; None if it is not excluded.
        """
        fitting = (one for one in self.exclude if _excludes(one, path, below, is_folder=is_folder))
        return next(fitting, None)


def check_patterns(patterns: Iterable[str]) -> None:
    """Check the patterns of ``--exclude``.

    Args:
        patterns: The patterns.

    Raises:
        UsageError: A pattern is empty.
    """
    if any(not pattern.strip("/\\ ") for pattern in patterns):
        raise UsageError("--exclude: the pattern is empty; give a name or a pattern such as '*.png'")


def _excludes(pattern: str, path: Path, below: Path, *, is_folder: bool) -> bool:
    """Whether a pattern of the user is for a path; a pattern without a slash is for its name."""
    if pattern.endswith("/") and not is_folder:
        return False
    parts = Path(pattern.lower()).parts
    if len(parts) == 1:
        return fnmatchcase(path.name.lower(), parts[0])
    places = (path.relative_to(below), path)
    return any(fits([part.lower() for part in place.parts], parts) for place in places)
