"""What one MQTT connection has reached, and which version of the protocol the next one speaks."""

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
"""So many connections in a row that end without an answer to CONNECT speak against the version.

A broker that only knows 3.1.1 may hang up on MQTT 5; but so does one that is just starting behind a proxy.
Silence until time is up, as of amqtt, counts as much as all of these: each costs the whole limit.
"""


@dataclass(slots=True)
class Attempt:
    """What one connection has reached so far; touched by paho's thread alone."""

    version: MQTTProtocolVersion
    probe: bool = False
    """Whether it only is to find out if the broker answers to this version."""
    opened: bool = False
    silent: bool = False
    """Whether the broker said nothing to CONNECT until time was up."""
    answered: bool = False
    live: bool = False
    refused: ReasonCode | None = None
    problem: str | None = None

    @property
    def awaited(self) -> str:
        """The packet whose answer is still to come."""
        return "SUBSCRIBE" if self.answered else "CONNECT"

    @property
    def accepted(self) -> bool:
        """Whether the broker takes this client in."""
        return self.answered and self.refused is None

    @property
    def refuses_protocol(self) -> bool:
        """Whether the broker has said that it does not speak this version."""
        return self.refused is not None and self.refused.value == _UNSUPPORTED_PROTOCOL

    @property
    def refuses_credentials(self) -> bool:
        """Whether the broker has said that it does not want this client."""
        return self.refused is not None and self.refused.value in _REFUSED


class ProtocolChoice:
    """The version of the next connection: MQTT 5, whose session loses nothing, wherever that can be had.

    A plain refusal of it leads to 3.1.1. So do silence, and hang-ups without an answer, unless MQTT 5 has
    worked already; but then 3.1.1 is only probed: if the broker answers, MQTT 5 has one more chance, since
    the broker may have started meanwhile. A refusal or hang-up of 3.1.1 leads back to MQTT 5.
    """

    def __init__(self) -> None:
        self.version = MQTTProtocolVersion.MQTTv5
        self._hang_ups = 0
        self._worked: MQTTProtocolVersion | None = None

    def attempt(self) -> Attempt:
        """The next connection."""
        in_doubt = self._hang_ups > 0 and self._worked is None
        return Attempt(self.version, probe=in_doubt and self.version is MQTTProtocolVersion.MQTTv311)

    def take_in(self, attempt: Attempt) -> bool:
        """Learn from a connection that has ended, and say whether the next one is to follow at once."""
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
        # A broker that has shown to need 3.1.1 is not to be waited for again.
        return float("inf") if self._worked is MQTTProtocolVersion.MQTTv5 else 1
