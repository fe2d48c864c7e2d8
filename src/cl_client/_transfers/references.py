"""Files by reference on the wire: the form fields, and the proof that a client may use a share."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic import SecretStr

SHARES_PATH: Final = "/shared-folders"
"""Local servers announce here what they share; CL Servers answer 404."""

PATH_FIELD: Final = "input_absolute_path"
"""The field of CL Servers; the others are a local server's own."""

OUTPUT_PATH_FIELD: Final = "output_absolute_path"
"""CL Servers: the folder for the result; in ``params``, also one relative to the job."""

SIZE_FIELD: Final = "input_size"
MODIFIED_FIELD: Final = "input_modified"
PROOF_HEADER: Final = "X-CL-Share-Proof"

KEY_FILE_NAME: Final = "share.key"
KEY_BYTES: Final = 32


def proof_of(key: SecretStr, task_type: str, path: str) -> str:
    """Prove the knowledge of a share key for one file and one task, without sending the key.

    A program that takes the server's place gets nothing that it could use for another file.

    Args:
        key: The share key, in hexadecimal digits.
        task_type: The task of the job.
        path: The path of the file as it is sent.

    Returns:
        The value of the header.
    """
    message = f"{task_type}\n{path}".encode()
    return hmac.new(bytes.fromhex(key.get_secret_value()), message, hashlib.sha256).hexdigest()
