"""Devices bound in the home: what buttons mean at once, the center's answers and lists, kills between any two steps."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hearthline import wire
from hearthline.errors import LinkError, RefusedError
from hearthline_edge.control_client import ControlClient
from hearthline_edge.device_list import FILE, ListedDevice, load_list, write_list
from hearthline_sim.port import PtyPort
from integration.edge.gateway import PENDANT, Center, Gateway, press_telegram, release_telegram, steady, wait_for
from servers import mosquitto

pytestmark = pytest.mark.integration
MakeCenter = Callable[..., Center]
WANTED = {"id": PENDANT, "name": "吊坠", "room": "bedroom", "kind": "push-button", "buttons": {"*": "service"}}


def control(gateway: Gateway) -> ControlClient:
    client = ControlClient(gateway.data / "control.sock")

    def answers() -> bool:
        with suppress(LinkError):
            return bool(client.ask({"do": "state"}))
        return False

    wait_for(answers, "the agent's socket")
    return client


def bind(gateway: Gateway, **changes: Any) -> str:
    return str(control(gateway).ask({"do": "bind", "device": WANTED | changes})["event"])


def states(gateway: Gateway) -> dict[str, tuple[str, str]]:
    return {device.id: (device.state, device.reason) for device in load_list(gateway.folder / "agent")}


def bindings(center: Center) -> list[dict[str, Any]]:
    return [event.data for event in center.of_type("hearthline.binding.v1")]


def answer(center: Center, result: str, device: str = PENDANT, number: str = "a1") -> None:
    center.down(wire.DOWN_COMMAND, wire.Command(id=number, type="bound", device=device, result=result))
    wait_for(
        lambda: number in [e.data["command"] for e in center.of_type("hearthline.answer.v1")], "the answer's answer"
    )


def test_a_bound_pendants_button_means_at_once_what_the_installer_said(
    pressing: Gateway, port: PtyPort, make_center: MakeCenter
) -> None:
    center = make_center(pressing)
    with control(pressing).open({"do": "bind", "device": WANTED}) as line:
        event = wait_for(lambda: line.next(1.0) or {}, "the event")["event"]
        port.send(press_telegram() + release_telegram())
        (alarm,) = center.wait_alarms(1)
        assert alarm.data["role"] == "service", "without a restart, before the center has answered"
        wait_for(lambda: bindings(center), "the binding")
        assert [e.id for e in center.of_type("hearthline.binding.v1")] == [event]
        assert bindings(center) == [
            {"state": "wanted", "device": PENDANT, **{k: WANTED[k] for k in WANTED if k != "id"}}
        ]
        assert states(pressing) == {PENDANT: ("waiting", "")}
        answer(center, "bound")
        assert wait_for(lambda: line.next(1.0) or {}, "the answer") == {"answer": {"result": "bound"}}
    assert states(pressing) == {PENDANT: ("bound", "")}
    (device,) = control(pressing).ask({"do": "state"})["devices"]
    assert (device["id"], device["room"], device["state"]) == (PENDANT, "bedroom", "bound")
    assert device["heard"] is not None


def test_a_refusal_that_comes_days_later_is_a_fault_with_what_to_do(
    pressing: Gateway, port: PtyPort, make_center: MakeCenter
) -> None:
    center = make_center(pressing)
    bind(pressing)
    answer(center, "elsewhere")
    assert states(pressing) == {PENDANT: ("refused", "elsewhere")}
    wait_for(lambda: center.fault("belongs to another home"), "the fault in the status")
    port.send(press_telegram())
    assert center.wait_alarms(1)[0].data["role"] == "emergency", "in doubt, raise"
    bind(pressing)  # the center has freed it: tried again
    answer(center, "bound", number="a2")
    assert states(pressing) == {PENDANT: ("bound", "")}
    wait_for(lambda: not center.fault("another home"), "the end of the fault")


def test_what_is_bound_already_is_refused_and_what_is_repeated_is_not(
    pressing: Gateway, make_center: MakeCenter
) -> None:
    center = make_center(pressing)
    bind(pressing)
    bind(pressing)  # the same answers: somebody repeats what was cut short
    with pytest.raises(RefusedError, match="bound in this home already, as 吊坠 in bedroom"):
        bind(pressing, room="kitchen")
    for wrong in ({"id": "a\nb"}, {"name": "x" * 65}, {"buttons": {"A": "shout"}}):
        with pytest.raises(RefusedError):
            bind(pressing, **wrong)
    with pytest.raises(RefusedError, match="not in this home's list"):
        control(pressing).ask({"do": "unbind", "device": "nobody"})
    wait_for(lambda: len(bindings(center)) == 2, "the two bindings")
    assert states(pressing) == {PENDANT: ("waiting", "")}


def test_a_removed_device_is_gone_here_and_told(pressing: Gateway, make_center: MakeCenter) -> None:
    center = make_center(pressing)
    bind(pressing)
    answer(center, "bound")
    control(pressing).ask({"do": "unbind", "device": PENDANT})
    wait_for(lambda: {"state": "removed", "device": PENDANT} in bindings(center), "the removal")
    wait_for(lambda: states(pressing) == {}, "the list without it")


def test_the_centers_list_takes_the_place_of_ours_save_what_waits(pressing: Gateway, make_center: MakeCenter) -> None:
    center = make_center(pressing)
    bind(pressing, id="enocean:000000AA")
    answer(center, "bound", device="enocean:000000AA")
    bind(pressing)
    devices: list[dict[str, Any]] = [
        {"id": "ble:1", "room": "客厅", "kind": "cuff", "user": 1, "tomorrow": True},
        {"id": "bad\n"},
    ]
    center.down(wire.DOWN_COMMAND, wire.Command(id="l1", type="devices", devices=devices))
    wait_for(lambda: "ble:1" in states(pressing), "the list")
    assert states(pressing) == {"ble:1": ("bound", ""), PENDANT: ("waiting", "")}


def test_a_broken_list_is_asked_for_and_set_aside_when_it_comes(pressing: Gateway, make_center: MakeCenter) -> None:
    pressing.kill()
    (pressing.folder / "agent").mkdir(exist_ok=True)
    (pressing.folder / "agent" / FILE).write_text("[[device]\n", encoding="utf-8")
    center = make_center(pressing)
    pressing.start()
    wait_for(lambda: {"state": "lost"} in bindings(center), "the question for the list")
    wait_for(lambda: center.fault("not valid TOML"), "the fault")
    center.down(wire.DOWN_COMMAND, wire.Command(id="l1", type="devices", devices=[{"id": "ble:1"}]))
    wait_for(lambda: not center.fault("not valid TOML"), "the end of the fault")
    assert states(pressing) == {"ble:1": ("bound", "")}
    assert (pressing.folder / "agent" / f"{FILE}.broken").read_text(encoding="utf-8") == "[[device]\n"


def test_killed_between_any_two_steps_the_binding_still_arrives(pressing: Gateway, make_center: MakeCenter) -> None:
    """After the list but before the event; after the event; while the center is away; after its answer."""
    pressing.kill()
    write_list(pressing.folder / "agent", [ListedDevice(id=PENDANT, state="waiting", bound="2026-11-22T10:00:00Z")])
    center = make_center(pressing)
    pressing.start()
    wait_for(lambda: [each["device"] for each in bindings(center)] == [PENDANT], "asked again after the kill")
    answer(center, "bound")
    pressing.kill()
    assert states(pressing) == {PENDANT: ("bound", "")}, "what was answered is on the disk"
    center.acknowledge = False
    pressing.start()
    bind(pressing, id="enocean:000000AA")
    pressing.kill()
    assert states(pressing)["enocean:000000AA"] == ("waiting", "")
    assert pressing.outbox()["event"]["depth"] >= 1
    center.acknowledge = True
    pressing.start()
    wait_for(lambda: pressing.outbox()["event"]["depth"] == 0, "the outbox to let go")
    told = [event.data["device"] for event in center.of_type("hearthline.binding.v1")]
    assert told == [PENDANT, "enocean:000000AA"], "what is under way is not asked a second time"
    pressing.kill()  # received, but the answer never came
    pressing.start()
    wait_for(lambda: len(center.of_type("hearthline.binding.v1")) == 3, "asked again")
    answer(center, "unknown-gateway", device="enocean:000000AA", number="a3")
    assert states(pressing)["enocean:000000AA"] == ("waiting", "unknown-gateway")
    answer(center, "bound", device="enocean:000000AA", number="a4")
    assert states(pressing)["enocean:000000AA"] == ("bound", "")


def test_without_a_network_it_is_kept_and_synced_when_the_broker_is_back(
    make_gateway: Callable[..., Gateway], port: PtyPort, tmp_path: Path, make_center: MakeCenter
) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    with mosquitto(folder) as broker:
        broker.kill()
        gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")}, center_port=broker.port, local_port=None)
        gateway.start()
        bind(gateway)
        steady(lambda: states(gateway) == {PENDANT: ("waiting", "")}, 0.2, "it waits")
        gateway.kill()
        gateway.start()
        broker.start()
        center = make_center(gateway, port=broker.port)
        wait_for(lambda: bindings(center), "the binding", 30.0)
        assert [each["device"] for each in bindings(center)] == [PENDANT]
        answer(center, "bound")
        assert states(gateway) == {PENDANT: ("bound", "")}


def test_a_folder_that_cannot_be_written_is_said_and_nothing_is_half_done(
    pressing: Gateway, make_center: MakeCenter
) -> None:
    center = make_center(pressing)
    (pressing.folder / "agent" / f".{FILE}.new").mkdir(parents=True)  # in the way of every write
    with pytest.raises(RefusedError, match=r"devices\.toml cannot be written"):
        bind(pressing)
    assert states(pressing) == {}
    wait_for(lambda: center.fault("cannot be written"), "the fault")
    (pressing.folder / "agent" / f".{FILE}.new").rmdir()
    bind(pressing)
    wait_for(lambda: not center.fault("cannot be written"), "the end of the fault")
