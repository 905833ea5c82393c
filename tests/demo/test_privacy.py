"""People stay in one place: what the wire, the stores, the gateway and every log carry names nobody (promise 9)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from hearthline_sim.demo.stack import Plan, Stack
from hearthline_sim.demo.trial import Trial, run_trial

pytestmark = [pytest.mark.demo, pytest.mark.timeout(180)]

# What the demo's registry knows of its resident, and what an operator writes about him.
WORDS = ("摔倒在浴室", "fell in the bathroom")
PERSONAL = ("王秀英", "王建国", "021-5555", "139 5555", "某路", "高血压", "hypertension", "3号楼", *WORDS)


def forms(word: str) -> list[bytes]:
    """A word as files and messages may spell it."""
    return [word.encode(), json.dumps(word)[1:-1].encode(), word.encode("utf-16-le")]


def found(content: bytes) -> list[str]:
    return [word for word in PERSONAL if any(form in content for form in forms(word))]


@contextmanager
def eavesdropper(port: int) -> Iterator[list[bytes]]:
    """Every message of a broker: topic and payload."""
    heard: list[bytes] = []
    subscribed = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="eavesdropper", protocol=paho.MQTTv311)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _client, _data, message: heard.append(message.topic.encode() + b" " + message.payload)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        client.subscribe("#", 1)
        assert subscribed.wait(10)
        yield heard
    finally:
        client.disconnect()
        client.loop_stop()


def test_nobody_is_named_outside_the_centers_database(tmp_path: Path) -> None:
    stack = Stack(tmp_path, Plan(vitals_every_s=5.0))
    try:
        stack.start()
        with (
            eavesdropper(stack.center_broker.port_v311) as center,
            eavesdropper(stack.home_broker.port_v311) as home,
        ):
            report = run_trial(stack, Trial(20.0, 4, 1), lambda _: None)
            alert = stack.operator.get("/api/v1/alerts")["alerts"][0]
            for words in WORDS:
                stack.operator.post(f"/api/v1/alerts/{alert['id']}/notes", {"text": words})
            card = stack.operator.get("/api/v1/residents/r-7f3a")
            assert card["name"] == "王秀英"
    finally:
        stack.stop()
    assert report["alarm_events"] == 4
    heard = b"\n".join([*center, *home])
    for topic in (b"up/event", b"up/telemetry", b"up/status", b"down/ack", b"/signal"):
        assert topic in heard  # else the eavesdropper was deaf
    assert found(heard) == []

    told = {path.relative_to(tmp_path): found(path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()}
    center_database = {path for path in told if path.name.startswith("hearthline.db")}
    known = {word for path in center_database for word in told[path]}
    assert known == set(PERSONAL)  # else this test looks for what is nowhere
    allowed = center_database | {Path("registry.toml")}
    assert {path: words for path, words in told.items() if words and path not in allowed} == {}
    assert {"agent.log", "ingest.log", "desk.log", "web.log"} <= {path.name for path in told}
