"""What a client leaves at an MQTT 5 broker when it is closed: nothing."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import TYPE_CHECKING

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from cl_client._mqtt.address import BrokerAddress
from cl_client._mqtt.connection import MQTTConnection
from patience import SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from paho.mqtt.reasoncodes import ReasonCode

    from support import Mosquitto

    MakeMosquitto = Callable[..., Mosquitto]


class Broker:
    """A Mosquitto that tells who connected, and whose sessions it keeps."""

    def __init__(self, broker: Mosquitto, log: Path) -> None:
        self.address = BrokerAddress.parse(broker.url)
        self._log = log

    def client_id(self) -> str:
        """Of the client of this library that has connected by MQTT 5."""
        found = re.search(r"New client connected from \S+ as (cl_client-\w+) \(p5", self._log.read_text())
        assert found is not None
        return found[1]

    def has_session(self, client_id: str, *, keep_for: int = 0) -> bool:
        """Whether there is a session to resume; afterwards one is kept for so many seconds."""
        present: list[bool] = []

        def on_connect(
            client: paho.Client,
            _userdata: object,
            flags: paho.ConnectFlags,
            _reason: ReasonCode,
            _properties: Properties | None,
        ) -> None:
            present.append(flags.session_present)
            client.disconnect()

        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        client.on_connect = on_connect
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = keep_for
        client.connect(self.address.host, self.address.port, clean_start=False, properties=properties)
        client.loop_forever()
        return present == [True]


@pytest.fixture
def broker(make_mosquitto: MakeMosquitto, tmp_path: Path) -> Broker:
    log = tmp_path / "mosquitto.log"
    return Broker(make_mosquitto(f"allow_anonymous true\nlog_dest file {log}\nlog_type all"), log)


def test_a_session_that_is_kept_would_be_seen(broker: Broker) -> None:
    assert not broker.has_session("one", keep_for=300)
    assert broker.has_session("one")
    assert not broker.has_session("one")


async def test_closing_ends_the_session(broker: Broker) -> None:
    connection = MQTTConnection(broker.address, topics=["a"])
    connection.start()
    assert await connection.wait_connected(SECONDS)
    await connection.close()
    assert not await asyncio.to_thread(broker.has_session, broker.client_id())


def test_a_loop_that_was_closed_without_close_ends_the_session(broker: Broker) -> None:
    connection, before = MQTTConnection(broker.address, topics=["a"]), set(threading.enumerate())

    async def abandon() -> None:
        connection.start()
        assert await connection.wait_connected(SECONDS)

    asyncio.run(abandon())
    asyncio.run(connection.close())
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name.startswith("mqtt-")]
    assert not broker.has_session(broker.client_id())
