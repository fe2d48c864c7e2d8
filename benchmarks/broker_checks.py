"""What a broker should do, each as a check with live clients, for `broker_survey`."""

from __future__ import annotations

import itertools
import queue
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from paho.mqtt.reasoncodes import ReasonCode

_SECONDS: Final = 3.0
"""How long an answer may take."""
_QUIET: Final = 0.5
"""How long nothing must come."""
_V5: Final = 5

AnswerT = TypeVar("AnswerT")


class NoAnswerError(Exception):
    """The broker did not answer in time."""


class Probe:
    """A client, with all answers of the broker in queues."""

    def __init__(
        self,
        port: int,
        version: int,
        name: str | None = None,
        *,
        clean: bool = True,
        expiry: int = 0,
        will: str | None = None,
    ) -> None:
        self._port, self._version, self._clean, self._expiry = port, version, clean, expiry
        name = name or f"probe-{secrets.token_hex(4)}"
        if version == _V5:
            self.client = paho.Client(
                CallbackAPIVersion.VERSION2,
                name,
                protocol=MQTTProtocolVersion.MQTTv5,
                reconnect_on_failure=False,
            )
        else:
            self.client = paho.Client(
                CallbackAPIVersion.VERSION2, name, clean_session=clean, reconnect_on_failure=False
            )
        if will is not None:
            self.client.will_set(will, b"gone", 1)
        self.messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self.lost: queue.Queue[ReasonCode] = queue.Queue()
        self._connected: queue.Queue[tuple[ReasonCode, bool]] = queue.Queue()
        self._answered: queue.Queue[list[ReasonCode]] = queue.Queue()
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_message = self._on_message
        self.client.on_subscribe = self.client.on_unsubscribe = self._on_answer

    def _on_connect(
        self, _c: object, _u: object, flags: paho.ConnectFlags, code: ReasonCode, _p: Properties | None
    ) -> None:
        self._connected.put((code, flags.session_present))

    def _on_disconnect(
        self, _c: object, _u: object, _f: object, code: ReasonCode, _p: Properties | None
    ) -> None:
        self.lost.put(code)

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        self.messages.put(message)

    def _on_answer(
        self, _c: object, _u: object, _mid: int, codes: list[ReasonCode], _p: Properties | None
    ) -> None:
        self._answered.put(codes)

    def connect(self) -> bool:
        """Connect; return whether the broker has a session."""
        code, present = self.answer_to_connect()
        if code.is_failure:
            raise NoAnswerError(f"refused: {code}")
        return present

    def answer_to_connect(self) -> tuple[ReasonCode, bool]:
        """Connect; return the broker's answer."""
        properties = None
        if self._version == _V5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = self._expiry
        clean = self._clean if self._version == _V5 else paho.MQTT_CLEAN_START_FIRST_ONLY
        self.client.connect("127.0.0.1", self._port, clean_start=clean, properties=properties)
        self.client.loop_start()
        return _next(self._connected)

    def subscribe(
        self, topic: str, qos: int = 0, options: SubscribeOptions | None = None
    ) -> list[ReasonCode]:
        """Subscribe; return the broker's answer."""
        if self._version == _V5:
            self.client.subscribe(topic, options=options or SubscribeOptions(qos))
        else:
            self.client.subscribe(topic, qos)
        return _next(self._answered)

    def unsubscribe(self, topic: str) -> list[ReasonCode]:
        """Unsubscribe; return the broker's answer."""
        self.client.unsubscribe(topic)
        return _next(self._answered)

    def publish(
        self,
        topic: str,
        payload: bytes = b"x",
        qos: int = 1,
        *,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> None:
        """Publish, and wait for the acknowledgement."""
        info = self.client.publish(topic, payload, qos, retain, properties)
        info.wait_for_publish(_SECONDS)
        if not info.is_published():
            raise NoAnswerError("no PUBACK")

    def next(self) -> paho.MQTTMessage:
        """The next message."""
        return _next(self.messages)

    def is_quiet(self) -> bool:
        """Whether no message comes."""
        try:
            self.messages.get(timeout=_QUIET)
        except queue.Empty:
            return True
        return False

    def cut(self) -> None:
        """Lose the connection without a DISCONNECT."""
        self.client.loop_stop()
        connection = cast("socket.socket | None", self.client.socket())
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()


def _next(answers: queue.Queue[AnswerT]) -> AnswerT:
    try:
        return answers.get(timeout=_SECONDS)
    except queue.Empty:
        raise NoAnswerError("no answer") from None


@dataclass(frozen=True, slots=True)
class Check:
    """Something that a broker should do.

    Attributes:
        level: The protocol level: 4 is MQTT 3.1.1.
        run: Tries it at a port; returns whether it does.
    """

    level: int
    run: Callable[[int], bool | str]

    def outcome(self, port: int) -> str:
        """Try it; return the outcome in words."""
        try:
            result = self.run(port)
        except (NoAnswerError, OSError, ValueError, RuntimeError) as exc:
            return f"no: {exc}"
        return result if isinstance(result, str) else ("yes" if result else "no")


def answer_of(port: int, version: int) -> str:
    """Connect with a version, and return the broker's answer in words."""
    probe = Probe(port, version)
    try:
        code, _ = probe.answer_to_connect()
    except (NoAnswerError, OSError) as exc:
        return str(exc)
    finally:
        probe.close()
    return "yes" if not code.is_failure else str(code)


def _pair(port: int, version: int) -> tuple[Probe, Probe]:
    """A publisher and a subscriber, connected."""
    probes = Probe(port, version), Probe(port, version)
    for probe in probes:
        probe.connect()
    return probes


def _retained_for_matching_only(port: int) -> bool:
    sender, other = _pair(port, 4)
    other.subscribe("theirs/#")
    sender.publish("theirs/1", retain=True)
    other.next()
    mine = Probe(port, 4)
    mine.connect()
    mine.subscribe("mine/#")
    return mine.is_quiet()


def _retained_at_subscribing(port: int) -> bool:
    sender, reader = _pair(port, 4)
    sender.publish("kept/1", retain=True)
    reader.subscribe("kept/#", 1)
    message = reader.next()
    return message.retain and message.topic == "kept/1"


def _retained_removed(port: int) -> bool:
    sender, reader = _pair(port, 4)
    sender.publish("kept/1", retain=True)
    sender.publish("kept/1", b"", retain=True)
    reader.subscribe("kept/#", 1)
    return reader.is_quiet()


def _live_message_is_not_marked(port: int) -> bool:
    sender, reader = _pair(port, 4)
    reader.subscribe("kept/#", 1)
    sender.publish("kept/1", retain=True)
    return not reader.next().retain


def _qos_as_asked(port: int) -> bool | str:
    sender, low = _pair(port, 4)
    high = Probe(port, 4)
    high.connect()
    granted = [low.subscribe("q", 0)[0].value, high.subscribe("q", 1)[0].value]
    sender.publish("q", qos=1)
    seen = [low.next().qos, high.next().qos]
    return (granted, seen) == ([0, 1], [0, 1]) or f"no: granted {granted}, delivered with {seen}"


def _session(version: int) -> Callable[[int], bool | str]:
    def run(port: int) -> bool | str:
        name = f"session-{secrets.token_hex(4)}"
        reader = Probe(port, version, name, clean=False, expiry=60)
        sender = Probe(port, version)
        sender.connect()
        reader.connect()
        reader.subscribe("s/#", 1)
        reader.cut()
        time.sleep(0.1)
        for number in range(3):
            sender.publish(f"s/{number}")
        again = Probe(port, version, name, clean=False, expiry=60)
        present = again.connect()
        got = [again.next().topic for _ in range(3)]
        return (present and got == ["s/0", "s/1", "s/2"]) or f"no: session {present}, {got}"

    return run


def _session_ends(port: int) -> bool:
    name = f"session-{secrets.token_hex(4)}"
    reader = Probe(port, 5, name, clean=False, expiry=0)
    reader.connect()
    reader.close()
    return not Probe(port, 5, name, clean=False, expiry=0).connect()


def _session_expires(port: int) -> bool:
    name = f"session-{secrets.token_hex(4)}"
    reader = Probe(port, 5, name, clean=False, expiry=1)
    reader.connect()
    reader.subscribe("s/#", 1)
    reader.cut()
    time.sleep(3.5)
    return not Probe(port, 5, name, clean=False, expiry=1).connect()


def _will(version: int) -> Callable[[int], bool]:
    def run(port: int) -> bool:
        reader, mortal = Probe(port, version), Probe(port, version, will="wills/1")
        reader.connect()
        reader.subscribe("wills/#", 1)
        mortal.connect()
        mortal.cut()
        return reader.next().payload == b"gone"

    return run


def _takeover(version: int) -> Callable[[int], bool]:
    def run(port: int) -> bool:
        name = f"twin-{secrets.token_hex(4)}"
        first, second = Probe(port, version, name), Probe(port, version, name)
        first.connect()
        second.connect()
        _next(first.lost)
        second.subscribe("t", 1)
        second.publish("t")
        second.next()
        return True

    return run


def _no_local(port: int) -> bool:
    probe = Probe(port, 5)
    probe.connect()
    probe.subscribe("n", options=SubscribeOptions(1, noLocal=True))
    probe.publish("n")
    return probe.is_quiet()


def _retain_handling(port: int) -> bool | str:
    sender, reader = _pair(port, 5)
    sender.publish("kept/1", retain=True)
    reader.subscribe("kept/#", options=SubscribeOptions(1, retainHandling=2))
    never = reader.is_quiet()
    fresh = Probe(port, 5)
    fresh.connect()
    fresh.subscribe("kept/#", options=SubscribeOptions(1, retainHandling=1))
    fresh.next()
    fresh.subscribe("kept/#", options=SubscribeOptions(1, retainHandling=1))
    once = fresh.is_quiet()
    return (never and once) or f"no: 2 {'right' if never else 'wrong'}, 1 {'right' if once else 'wrong'}"


def _retain_as_published(port: int) -> bool:
    sender, reader = _pair(port, 5)
    reader.subscribe("kept/#", options=SubscribeOptions(1, retainAsPublished=True))
    sender.publish("kept/1", retain=True)
    return reader.next().retain


def _properties(port: int) -> bool:
    sender, reader = _pair(port, 5)
    reader.subscribe("p", 1)
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = "application/json"
    properties.UserProperty = [("key", "value")]
    sender.publish("p", properties=properties)
    got = reader.next().properties
    return (
        got is not None
        and {"ContentType": "application/json", "UserProperty": [["key", "value"]]}.items()
        <= _plain(got).items()
    )


def _plain(properties: Properties) -> dict[str, object]:
    values = cast("dict[str, object]", properties.json())
    pairs = cast("list[tuple[str, str]]", values.get("UserProperty", []))
    return {**values, "UserProperty": [list(pair) for pair in pairs]}


def _message_expiry(port: int) -> bool:
    name = f"session-{secrets.token_hex(4)}"
    reader, sender = Probe(port, 5, name, clean=False, expiry=60), Probe(port, 5)
    reader.connect()
    reader.subscribe("e/#", 1)
    reader.cut()
    sender.connect()
    properties = Properties(PacketTypes.PUBLISH)
    properties.MessageExpiryInterval = 1
    sender.publish("e/short", properties=properties)
    sender.publish("e/long")
    time.sleep(2.5)
    again = Probe(port, 5, name, clean=False, expiry=60)
    again.connect()
    return again.next().topic == "e/long"


def _unsubscribe_code(port: int) -> bool | str:
    probe = Probe(port, 5)
    probe.connect()
    no_subscription_existed = 0x11
    code = probe.unsubscribe("never")[0]
    return code.value == no_subscription_existed or f"no: {code}"


def _large_message(port: int) -> bool:
    sender, reader = _pair(port, 5)
    reader.subscribe("large", 1)
    sender.publish("large", b"x" * 300_000)
    return len(reader.next().payload) == 300_000  # noqa: PLR2004 - as sent


CHECKS: Final = {
    "retained: only for matching subscriptions": Check(4, _retained_for_matching_only),
    "retained: at subscribing": Check(4, _retained_at_subscribing),
    "retained: removed by an empty one": Check(4, _retained_removed),
    "retained: live messages are not marked": Check(4, _live_message_is_not_marked),
    "QoS as asked for": Check(4, _qos_as_asked),
    "3.1.1: session after a cut": Check(4, _session(4)),
    "3.1.1: will": Check(4, _will(4)),
    "3.1.1: takeover of a client id": Check(4, _takeover(4)),
    "5: session after a cut": Check(5, _session(5)),
    "5: session with expiry 0 ends at once": Check(5, _session_ends),
    "5: session expires": Check(5, _session_expires),
    "5: will": Check(5, _will(5)),
    "5: takeover of a client id": Check(5, _takeover(5)),
    "5: no local": Check(5, _no_local),
    "5: retain handling": Check(5, _retain_handling),
    "5: retain as published": Check(5, _retain_as_published),
    "5: properties are passed on": Check(5, _properties),
    "5: message expiry": Check(5, _message_expiry),
    "5: reason of UNSUBACK": Check(5, _unsubscribe_code),
    "5: 300 kB": Check(5, _large_message),
}


def messages_per_second(port: int, version: int, subscribers: int, messages: int) -> float:
    """Publish with QoS 1, 20 at a time, to some subscribers; return deliveries per second, 0 for too few.

    The clients are this process, with a thread each: a broker that waits for them is the faster one.
    """
    readers = [Probe(port, version) for _ in range(subscribers)]
    sender = Probe(port, version)
    sender.connect()
    try:
        for reader in readers:
            reader.connect()
            reader.subscribe("rate", 0)
        payload = b"x" * 120
        begin = time.perf_counter()
        sent = [sender.client.publish("rate", payload, 1) for _ in range(messages)]
        for reader in readers:
            for _ in itertools.repeat(None, messages):
                reader.next()
        seconds = time.perf_counter() - begin
        sent[-1].wait_for_publish(_SECONDS)
    except NoAnswerError:
        return 0.0
    finally:
        for probe in (sender, *readers):
            probe.close()
    return messages * subscribers / seconds
