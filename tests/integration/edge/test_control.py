"""The running agent's control socket: the state, what is heard, the way of a press, and stuck clients beside it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from hearthline import wire
from hearthline.errors import LinkError, RefusedError
from hearthline_edge.control_client import ControlClient, Line
from hearthline_sim.port import PtyPort
from integration.edge.gateway import PENDANT, Center, Gateway, HomeEar, press_telegram, release_telegram, wait_for

pytestmark = pytest.mark.integration


def control(gateway: Gateway) -> ControlClient:
    return ControlClient(gateway.data / "control.sock")


def said(line: Line) -> dict[str, Any]:
    return wait_for(lambda: line.next(1.0) or {}, "the agent's next word")


def state_of(gateway: Gateway) -> dict[str, Any]:
    """Of a running agent, which opens its socket a little after it says that it runs."""

    def ask() -> dict[str, Any]:
        with suppress(LinkError):
            return control(gateway).ask({"do": "state"})
        return {}

    return wait_for(ask, "the agent's state")


def hops_until(line: Line, last: str) -> dict[str, float]:
    found: dict[str, float] = {}
    while last not in found:
        told = said(line)
        found[told["hop"]] = told["at_s"]
    return found


def opened(gateway: Gateway) -> ControlClient:
    state_of(gateway)
    return control(gateway)


def test_a_press_is_heard_and_followed_to_a_person(
    pressing: Gateway, port: PtyPort, make_center: Callable[..., Center], make_ear: Callable[..., HomeEar]
) -> None:
    center, client = make_center(pressing), opened(pressing)
    make_ear(pressing)
    with client.open({"do": "hear"}) as hearing:
        assert said(hearing) == {"hearing": True}
        port.send(press_telegram() + release_telegram())
        telegram, event = (said(hearing)["heard"] for _ in range(2))
    assert (telegram["device"], telegram["kind"], telegram["button"]) == (PENDANT, "press", "AI")
    assert (telegram["event"], telegram["radio_level"], telegram["port"]) == (None, -60, "radio")
    assert (event["device"], event["radio_level"], event["driver"]) == (PENDANT, -60, "enocean-esp3")
    (alarm,) = center.wait_alarms(1)
    assert event["event"] == alarm.id
    with client.open({"do": "follow", "event": alarm.id}) as following:
        center.down(wire.DOWN_COMMAND, wire.Command(id="c", type="signal", event=alarm.id, signal="accepted"))
        hops = hops_until(following, "accepted")
    assert list(hops) == ["committed", "sent", "received", "accepted"]
    assert 0 <= hops["committed"] <= hops["sent"] <= hops["received"] <= hops["accepted"]


def test_the_state_says_what_people_ask_for(pressing: Gateway, make_center: Callable[..., Center]) -> None:
    make_center(pressing)
    wait_for(lambda: state_of(pressing)["link"]["connected"], "the link")
    state = state_of(pressing)
    assert state["gateway"] == pressing.name
    assert state["lanes"]["event"]["depth"] == 0
    assert (state["faults"], state["link"]["fault"]) == ([], "")


def test_stuck_clients_and_hostile_lines_cost_a_press_nothing(
    pressing: Gateway, port: PtyPort, make_center: Callable[..., Center], stack: ExitStack
) -> None:
    center, client = make_center(pressing), opened(pressing)
    for _ in range(5):
        stuck = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stack.callback(stuck.close)
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        stuck.connect(str(client.path))
        stuck.sendall(b'{"do": "hear"}\n')  # and never reads
    with pytest.raises(RefusedError, match="unknown order"):
        client.ask({"do": "format-the-disk"})
    senders = [f"010203{number:02X}" for number in range(16)]
    for sender in senders:
        port.send(press_telegram(sender=sender) * 10 + release_telegram(sender))  # a line for each of the stuck, each
    alarms = center.wait_alarms(len(senders))
    assert [alarm.subject for alarm in alarms] == [f"enocean:{sender}" for sender in senders]
    for alarm in alarms:
        with client.open({"do": "follow", "event": alarm.id}) as following:
            assert hops_until(following, "received")["committed"] < 2.0


def test_a_kill_leaves_a_socket_that_the_next_agent_takes(pressing: Gateway) -> None:
    state_of(pressing)
    pressing.kill()
    assert (pressing.data / "control.sock").exists()
    pressing.start()
    assert state_of(pressing)["gateway"] == pressing.name
    assert pressing.stop() == 0
    assert not (pressing.data / "control.sock").exists()
