"""A session whose worker is held up, over a broker that comes and goes."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from cloud_processes import until
from hearthline_cloud.config import BrokerConfig
from hearthline_cloud.ingest.session import Message, Session
from servers import HOST, mosquitto

pytestmark = pytest.mark.integration
WINDOW, ALL = 20, 60


def test_a_worker_that_waits_holds_one_window_however_often_the_broker_is_lost(tmp_path: Path) -> None:
    go_on, held, handled = threading.Event(), list[int](), list[bytes]()

    def handle(messages: list[Message]) -> None:
        held.append(len(messages))
        assert go_on.wait(30)
        handled.extend(message.payload for message in messages)
        session.acknowledge(messages)

    with mosquitto(tmp_path) as broker:
        session = Session(BrokerConfig(port=broker.port), "test", ["t"], WINDOW, handle, forgets=True)
        session.start()
        until(lambda: session.connected)
        home = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        home.connect(HOST, broker.port)
        home.loop_start()
        for number in range(ALL):
            home.publish("t", str(number).encode(), qos=1).wait_for_publish(5)
        until(lambda: held and held[0] + session._queue.qsize() == WINDOW)
        for _ in range(4):
            link = session._client.socket()
            assert isinstance(link, socket.socket)
            link.shutdown(socket.SHUT_RDWR)
            until(lambda: not session.connected)
            until(lambda: session.connected)
            until(lambda: session._queue.qsize() >= WINDOW)  # what the worker holds comes again, too
            assert session._queue.qsize() == WINDOW
        go_on.set()
        until(lambda: len(set(handled)) == ALL)
        assert session.failed() is None
        home.disconnect()
        home.loop_stop()
        session.stop(time.monotonic() + 3)


def test_a_deaf_session_does_not_look_alive(tmp_path: Path) -> None:
    def stumble(*_: object) -> None:
        raise ZeroDivisionError

    with mosquitto(tmp_path) as broker:
        session = Session(BrokerConfig(port=broker.port), "test", ["t"], WINDOW, lambda _: None)
        session._client.on_message = stumble  # a bug of ours or of paho's, in its thread
        session.start()
        until(lambda: session.connected)
        home = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        home.connect(HOST, broker.port)
        home.loop_start()
        home.publish("t", b"x", qos=1).wait_for_publish(5)
        until(lambda: isinstance(session.failed(), ZeroDivisionError))
        home.disconnect()
        home.loop_stop()
        session.stop(time.monotonic() + 3)
