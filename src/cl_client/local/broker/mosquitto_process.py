"""A Mosquitto process with a private folder: its configuration, its start and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cl_client.local.broker.splice import Streams

logger = logging.getLogger(__name__)

_START_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 2.0
_LOOK_AGAIN_SECONDS: Final = 0.002
_LINES_KEPT: Final = 5
_LONG_PATH: Final = 75
_VERSION: Final = re.compile(r"mosquitto version (\S+) starting")

# A Mosquitto limits the queue of a client to 1,000 messages, and drops others: events of a busy server.
# Without a limit, a session that nobody comes back to would grow until it expires.
_CONFIG: Final = """\
listener 0 socket
allow_anonymous true
connection_messages false
log_dest stderr
log_timestamp false
log_type error
log_type warning
log_type notice
log_type information
max_queued_messages 100000
persistent_client_expiration 1d
sys_interval 0
"""

# The shell ends Mosquitto when its own input ends, which also happens when this process is killed. It closes
# its stderr, so that the end of that stream is the end of Mosquitto. Mosquitto looks for milder signals only
# ten times a second, and has nothing to save.
_SHELL: Final = """\
"$1" -c mosquitto.conf </dev/null >/dev/null &
exec 2>/dev/null
read -r _
kill -9 "$!"
wait "$!"
rm -rf "$2"
"""


class MosquittoProcess:
    """Mosquitto on a Unix socket in a folder that no other user may enter. It can be started again.

    Args:
        program: The path of Mosquitto.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._folder: Path | None = None
        self._shell: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[str] | None = None
        self.version = "of unknown version"

    async def start(self) -> None:
        """Start it, and return when it accepts connections.

        Raises:
            OSError: It did not start; the message says why.
        """
        # The path of a socket has about 100 bytes at most.
        parent = "/tmp" if len(os.fsencode(tempfile.gettempdir())) > _LONG_PATH else None  # noqa: S108 - mkdtemp
        self._folder = Path(tempfile.mkdtemp(prefix="cl-mqtt-", dir=parent))
        try:
            config = _CONFIG
            if os.geteuid() == 0:  # it would change to a user who may not enter the folder
                config += "user root\n"
            (self._folder / "mosquitto.conf").write_text(config)
            self._shell = await asyncio.create_subprocess_exec(
                *("/bin/sh", "-c", _SHELL, "sh", self._program, str(self._folder)),
                cwd=self._folder,  # in its configuration, a path ends at the first space
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # so that Ctrl-C does not end it before this server says good-bye
            )
            self._reading = asyncio.create_task(self._read_log(), name="mosquitto-log")
            await self._wait_until_ready()
        except BaseException:
            await self.stop()
            raise

    async def connect(self) -> Streams:
        """Connect to it.

        Returns:
            The streams; the caller closes them.

        Raises:
            OSError: It does not run.
        """
        return await asyncio.open_unix_connection(self._socket)

    async def ended(self) -> str:
        """Wait for its end.

        Returns:
            The last lines that it printed.
        """
        if self._reading is None:
            return "it was not started"
        return await asyncio.shield(self._reading)

    async def stop(self) -> None:
        """End it, and remove its folder. Idempotent."""
        shell, self._shell = self._shell, None
        if shell is not None and shell.stdin is not None:
            shell.stdin.close()
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await shell.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(shell.pid, signal.SIGKILL)
                await shell.wait()
        if self._reading is not None:
            await self._reading
            self._reading = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _socket(self) -> str:
        return f"{self._folder}/socket"

    async def _wait_until_ready(self) -> None:
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await self._accepts():
                    if self._reading is None or self._reading.done():
                        raise OSError(f"{self._program} did not start: {await self.ended()}")
                    await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        except TimeoutError:
            raise OSError(f"{self._program} did not start within {_START_SECONDS:g} s") from None

    async def _accepts(self) -> bool:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            _, writer = await self.connect()
            writer.close()
            return True
        return False

    async def _read_log(self) -> str:
        lines: list[str] = []
        if self._shell is not None and self._shell.stderr is not None:
            async for line in self._shell.stderr:
                text = line.decode(errors="replace").strip()
                logger.debug("%s", text)
                if (found := _VERSION.search(text)) is not None:
                    self.version = found[1]
                lines = [*lines[1 - _LINES_KEPT :], text]
        return "; ".join(lines) or "without a word"
