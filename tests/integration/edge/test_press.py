"""A press on a serial line: once at the center, back at home after the acknowledgement, kept until then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hearthline import wire
from hearthline.model import Lane
from hearthline_sim.port import PtyPort
from integration.edge.conftest import MakeGateway
from integration.edge.gateway import (
    PENDANT,
    Center,
    Gateway,
    HomeEar,
    press_telegram,
    release_telegram,
    steady,
    wait_for,
)

pytestmark = pytest.mark.integration


def test_received_comes_back_after_the_acknowledgement_and_not_before(
    pressing: Gateway, port: PtyPort, make_center: Callable[..., Center], make_ear: Callable[..., HomeEar]
) -> None:
    center, ear = make_center(pressing, acknowledge=False), make_ear(pressing)
    port.send(press_telegram() + release_telegram())
    (alarm,) = center.wait_alarms(1)
    assert alarm.subject == PENDANT
    assert (alarm.data["role"], alarm.data["button"], alarm.data["ordinal"]) == ("emergency", "AI", 1)
    assert alarm.data["receiver"] == "radio"
    steady(lambda: not ear.signals("received"), 0.3, "received was signalled before the acknowledgement")
    center.ack([alarm])
    signal = wait_for(lambda: ear.signals("received"), "the signal")[0]
    assert (signal["event"], signal["device"], signal["button"], signal["ordinal"]) == (alarm.id, PENDANT, "AI", 1)
    wait_for(lambda: pressing.outbox()["event"]["depth"] == 0, "the outbox to let go")


def test_repeats_are_one_event_and_a_new_press_is_another(
    pressing: Gateway, port: PtyPort, make_center: Callable[..., Center]
) -> None:
    center = make_center(pressing)
    port.send(press_telegram() * 3 + release_telegram() * 2)
    center.wait_alarms(1)
    port.send(press_telegram(button=1) + release_telegram())
    assert [alarm.data["ordinal"] for alarm in center.wait_alarms(2)] == [1, 2]
    steady(lambda: len(center.alarms) == 2, 0.3, "a repeat became an event")


def test_without_acknowledgement_it_is_sent_again_under_the_same_id(
    pressing: Gateway, port: PtyPort, make_center: Callable[..., Center]
) -> None:
    center = make_center(pressing, acknowledge=False)
    port.send(press_telegram())
    center.wait_alarms(1)
    foreign = center.events[0].envelope
    center.down(wire.DOWN_ACK, wire.make_ack("another-outbox", Lane.EVENT, [(1, foreign.seq)], []))
    wait_for(lambda: len(center.events) >= 2, "a second sending")
    assert {event.id for event in center.events} == {center.events[0].id}
    assert pressing.outbox()["event"]["depth"] == 1, "an acknowledgement for another outbox took the record"
    center.ack(center.alarms)
    wait_for(lambda: pressing.outbox()["event"]["depth"] == 0, "the outbox to let go")


def test_refused_is_kept_aside_and_the_home_is_told(
    make_gateway: MakeGateway, port: PtyPort, make_center: Callable[..., Center], make_ear: Callable[..., HomeEar]
) -> None:
    gateway = make_gateway(
        serial={"radio": (port.path, "enocean-esp3")},
        tables='[[siren]]\nkind = "zigbee"\ntarget = "zigbee2mqtt/siren"',
    )
    gateway.start()
    center, ear = make_center(gateway, acknowledge=False), make_ear(gateway)
    wait_for(lambda: gateway.told("port open"), "the agent at the port")
    port.send(press_telegram())
    center.refuse(center.wait_alarms(1)[0])
    wait_for(lambda: gateway.outbox()["event"]["refused"] == 1, "the refused record")
    assert gateway.outbox()["event"]["depth"] == 0
    assert not ear.signals("received")
    wait_for(lambda: ear.sounding, "the siren")
    ear.reset()
    wait_for(lambda: not ear.sounding, "the siren's silence")


def test_commands_are_answered_and_acceptance_is_signalled(
    pressing: Gateway, port: PtyPort, make_center: Callable[..., Center], make_ear: Callable[..., HomeEar]
) -> None:
    center, ear = make_center(pressing), make_ear(pressing)
    port.send(press_telegram())
    (alarm,) = center.wait_alarms(1)
    wait_for(lambda: ear.signals("received"), "received")
    center.down(wire.DOWN_COMMAND, wire.Command(id="c1", type="signal", event=alarm.id, signal="accepted"))
    center.down(wire.DOWN_COMMAND, wire.Command(id="c2", type="signal", event="no-such-event", signal="accepted"))
    center.down(wire.DOWN_COMMAND, wire.Command(id="c3", type="make-tea"))
    wait_for(lambda: len(center.of_type("hearthline.answer.v1")) == 3, "the answers")
    answers = center.of_type("hearthline.answer.v1")
    assert {answer.data["command"]: answer.data["result"] for answer in answers} == {
        "c1": "done",
        "c2": "unknown-event",
        "c3": "unknown",
    }
    assert [signal["device"] for signal in ear.signals("accepted")] == [PENDANT]


def test_a_service_button_is_no_emergency_and_an_ignored_one_nothing(
    make_gateway: MakeGateway, port: PtyPort, make_center: Callable[..., Center], make_ear: Callable[..., HomeEar]
) -> None:
    gateway = make_gateway(
        serial={"radio": (port.path, "enocean-esp3")},
        top="local_alarm_after_s = 0.3",
        tables=(
            f'[[device]]\nid = "{PENDANT}"\nbuttons = {{ AI = "service", AO = "ignore" }}\n'
            '[[siren]]\nkind = "zigbee"\ntarget = "zigbee2mqtt/siren"'
        ),
    )
    gateway.start()
    center, ear = make_center(gateway, acknowledge=False), make_ear(gateway)
    wait_for(lambda: gateway.told("port open"), "the agent at the port")
    port.send(press_telegram(button=1) + press_telegram(button=0))
    assert [alarm.data["role"] for alarm in center.wait_alarms(1)] == ["service"]
    steady(lambda: not ear.sounding, 0.8, "a service call sounded the siren")
    assert len(center.alarms) == 1
