"""A cache of embeddings, by the content of their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import numpy as np

from cl_client_cli.database import explained, open_database
from cl_client_cli.frame.user_folders import cache_folder

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from numpy.typing import NDArray

_NUMBER: Final = np.dtype("<f4")
_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE embeddings (
    server TEXT NOT NULL,
    task TEXT NOT NULL,
    digest TEXT NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (server, task, digest)
) WITHOUT ROWID
"""


class EmbeddingCache:
    """The user's open cache; several processes may open it at the same time.

    Embeddings of different models cannot be compared, and servers may run different models. So embeddings are
    stored by the URL of the server or, for local servers, by the folder of their models.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = open_database(path, _SCHEMA, _VERSION)

    @classmethod
    def open(cls) -> Self:
        """Open the user's cache, in the folder of `cache_folder`.

        Returns:
            The cache.

        Raises:
            ConfigurationError: The file cannot be used.
        """
        return cls(cache_folder() / "embeddings.sqlite")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def get(self, models: str, task: str, digest: str) -> NDArray[np.float32] | None:
        """Read the embedding of a file's content.

        Args:
            models: The URL of the server, or the folder of its models.
            task: The name of the task.
            digest: The digest of the content.

        Returns:
            The embedding, of shape (n,); None if it is not cached.
        """
        query = "SELECT vector FROM embeddings WHERE server = ? AND task = ? AND digest = ?"
        with explained(self._path):
            row = cast(
                "tuple[bytes] | None", self._connection.execute(query, (models, task, digest)).fetchone()
            )
        if row is None or not row[0] or len(row[0]) % _NUMBER.itemsize:
            return None
        return np.frombuffer(row[0], dtype=_NUMBER)

    def put(self, models: str, task: str, digest: str, vector: NDArray[np.float32]) -> None:
        """Store the embedding of a file's content.

        Args:
            models: The URL of the server, or the folder of its models.
            task: The name of the task.
            digest: The digest of the content.
            vector: The embedding, of shape (n,).
        """
        with explained(self._path):
            self._connection.execute(
                "INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?, ?)",
                (models, task, digest, vector.astype(_NUMBER).tobytes()),
            )
