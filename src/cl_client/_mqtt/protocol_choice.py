"""Results of an MQTT connection attempt, and the choice of the protocol version for the next one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from paho.mqtt.enums import MQTTProtocolVersion

if TYPE_CHECKING:
    from paho.mqtt.reasoncodes import ReasonCode

# CONNACK reason codes, MQTT 5.0 section 3.2.2.2; paho translates the codes of 3.1.1 into these.
_UNSUPPORTED_PROTOCOL: Final = 0x84
_REFUSED: Final = frozenset({0x86, 0x87, 0x8A, 0x8C})  # credentials, not authorised, banned, bad auth method

MAX_HANG_UPS: Final = 3
"""Number of connections in a row, closed without an answer to CONNECT, after which the version is changed.

A broker that supports only 3.1.1 may close an MQTT 5 connection, but so does one that is starting behind a
proxy. A single timeout (amqtt) counts as much as all of these, since each takes the whole time limit.
"""


@dataclass(slots=True)
class Attempt:
    """Progress of one connection; used only in paho's thread."""

    version: MQTTProtocolVersion
    probe: bool = False
    """Whether it only tests if the broker answers this version."""
    opened: bool = False
    silent: bool = False
    """Whether CONNECT timed out without an answer."""
    answered: bool = False
    live: bool = False
    refused: ReasonCode | None = None
    problem: str | None = None

    @property
    def awaited(self) -> str:
        """Name of the packet that the broker has not answered yet."""
        return "SUBSCRIBE" if self.answered else "CONNECT"

    @property
    def accepted(self) -> bool:
        """Whether the broker has accepted the connection."""
        return self.answered and self.refused is None

    @property
    def refuses_protocol(self) -> bool:
        """Whether the broker has answered that it does not support this version."""
        return self.refused is not None and self.refused.value == _UNSUPPORTED_PROTOCOL

    @property
    def refuses_credentials(self) -> bool:
        """Whether the broker has refused the credentials or the client."""
        return self.refused is not None and self.refused.value in _REFUSED


class ProtocolChoice:
    """Chooses the version of the next connection: MQTT 5 if possible, since its session loses no messages.

    If the broker refuses MQTT 5, 3.1.1 is used. A timeout, or closed connections without an answer, also lead
    to 3.1.1, unless MQTT 5 has worked before. But then 3.1.1 is only probed: if the broker answers, MQTT 5 is
    tried again, since the broker may have been starting. After a refusal or hang-up of 3.1.1, MQTT 5 is
    tried again.
    """

    def __init__(self) -> None:
        self.version = MQTTProtocolVersion.MQTTv5
        self._hang_ups = 0
        self._worked: MQTTProtocolVersion | None = None

    def attempt(self) -> Attempt:
        """Create the record for the next connection.

        Returns:
            An attempt with the chosen version.
        """
        in_doubt = self._hang_ups > 0 and self._worked is None
        return Attempt(self.version, probe=in_doubt and self.version is MQTTProtocolVersion.MQTTv311)

    def take_in(self, attempt: Attempt) -> bool:
        """Choose the next version from the result of a connection.

        Args:
            attempt: The connection that has ended.

        Returns:
            Whether to connect again without a pause.
        """
        if attempt.live or (attempt.probe and attempt.accepted):
            self._worked = attempt.version
        if attempt.version is not MQTTProtocolVersion.MQTTv5:
            hung_up = attempt.opened and not attempt.answered
            if attempt.probe or attempt.refuses_protocol or hung_up:
                self.version = MQTTProtocolVersion.MQTTv5
                self._hang_ups = 0
            return attempt.probe and attempt.accepted
        against = MAX_HANG_UPS if attempt.silent else int(attempt.opened)
        self._hang_ups = 0 if attempt.answered else self._hang_ups + against
        if attempt.refuses_protocol or self._hang_ups >= self._patience:
            self.version = MQTTProtocolVersion.MQTTv311
            return attempt.refuses_protocol
        return False

    @property
    def _patience(self) -> float:
        if self._worked is None:
            return MAX_HANG_UPS
        # A broker that is known to need 3.1.1 gets only one attempt with MQTT 5.
        return float("inf") if self._worked is MQTTProtocolVersion.MQTTv5 else 1
