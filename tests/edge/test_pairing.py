"""What the wizard offers: families for every driver, candidates, labels of all makers, and both languages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.errors import ProtocolError
from hearthline_edge.devices import find_drivers
from hearthline_edge.pairing import (
    ANY,
    FAMILIES,
    ROOMS,
    Candidate,
    Candidates,
    device_of_label,
    families_of,
    kind_of,
    label_text,
    roles_of,
)
from hearthline_edge.pairing_label import as_svg, in_terminal
from hearthline_edge.pairing_texts import SPEECH

PENDANT = "enocean:002EE196"


def heard(device: str, kind: str = "press", driver: str = "enocean-esp3", **more: Any) -> dict[str, Any]:
    return {"device": device, "kind": kind, "driver": driver, "port": "radio", "button": None, **more}


def test_every_driver_is_of_a_family_and_every_family_has_its_texts() -> None:
    named = {driver for family in FAMILIES for driver in family.drivers}
    assert named == set(find_drivers())
    for family in (*FAMILIES, ANY):
        assert {f"family.{family.name}", f"do.{family.name}"} <= set(SPEECH.texts)
    assert {f"room.{room}" for room in ROOMS} <= set(SPEECH.texts)
    assert [family.name for family in families_of({"dsmr-p1"})] == ["meter", "any"]


def test_rooms_carry_the_codes_of_scaip_that_are_known() -> None:
    """SCAIP `lco`, from public implementations: 011 bathroom, 012 bedroom, 021 kitchen, 043 living room."""
    known = {room: code for room, code in ROOMS.items() if code}
    assert known == {"bathroom": "011", "bedroom": "012", "kitchen": "021", "living-room": "043"}


def test_candidates_are_what_the_family_says_once_each_with_its_buttons() -> None:
    kinetic = FAMILIES[0]
    found = Candidates(kinetic, {"enocean:1": {"name": "red"}})
    assert found.hear(heard("enocean:2", kind="reading")) is None, "a sensor beside it is not meant"
    assert found.hear(heard("rf433:1", driver="rflink")) is None, "another family"
    assert found.hear(heard("enocean:1")) == "enocean:1"
    assert found.hear(heard("enocean:1")) is None, "left aside once"
    first = found.hear(heard(PENDANT, button="AI", radio_level=-60))
    assert isinstance(first, Candidate)
    assert found.hear(heard(PENDANT, button="AI", radio_level=-61)) is None, "a repeat"
    assert found.hear(heard(PENDANT, button="BI")) is first
    assert (first.buttons, first.radio_level, kind_of(kinetic, first)) == (["AI", "BI"], -61, "push-button")
    cuff = Candidates(ANY, {})
    measured = cuff.hear(heard("ble:1", kind="vital", driver="ble-gatt-bp"))
    assert isinstance(measured, Candidate)
    assert kind_of(ANY, measured) == "cuff"


def test_roles_are_said_in_the_shortest_way() -> None:
    assert roles_of(["A", "B"], {"A": "emergency", "B": "emergency"}, "emergency") == {"*": "emergency"}
    assert roles_of(["A", "B"], {"A": "emergency", "B": "service"}, "service") == {"*": "service", "A": "emergency"}


@pytest.mark.parametrize(
    ("text", "device"),
    [
        (label_text(PENDANT), PENDANT),
        (label_text(PENDANT).upper().replace("ENOCEAN", "enocean"), PENDANT),
        ("  enocean:002ee196 ", PENDANT),
        ("30S0000002EE196+1P000B00000004+10Z00", PENDANT),
        ("30s0000002ee196", PENDANT),
        ("z2m:客厅按钮", "z2m:客厅按钮"),
        ("z2m:living room/button", "z2m:living room/button"),
        ("rf433:ev1527:0f0065", "rf433:ev1527:0f0065"),
    ],
)
def test_labels_that_say_a_device(text: str, device: str) -> None:
    assert device_of_label(text) == device


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://www.example.com/p/123", "label-foreign"),
        ("6901234567892", "label-foreign"),
        ("MT:Y.K9042C00KA0648G00", "label-foreign"),
        ("30S0123456789AB", "label-wide"),
        ("30S00000002EE196", "label-foreign"),  # a digit too many
        ("hearthline-enrol:https://c#7K3M", "label-gateway"),
        ("enocean:" + "0" * 130, "label-foreign"),
        ("enocean:\x1b[2J", "label-foreign"),
        ("", "label-foreign"),
    ],
)
def test_labels_of_others_are_told_by_a_text_that_there_is(text: str, why: str) -> None:
    with pytest.raises(ProtocolError, match=why):
        device_of_label(text)
    assert why in SPEECH.texts


@given(st.text(max_size=300))
def test_whatever_is_scanned_is_a_device_or_a_reason(text: str) -> None:
    try:
        device, why = device_of_label(text), "label-foreign"
    except ProtocolError as error:
        device, why = "", str(error)
    assert why in SPEECH.texts
    if device:
        assert device.isprintable()
        assert device_of_label(label_text(device)) == device


def test_a_label_holds_what_the_wizard_reads_and_names_nobody_but_the_device() -> None:
    svg = as_svg(PENDANT, "吊坠 <1>", "卧室 & 厅")
    assert "吊坠 &lt;1&gt;" in svg
    assert "卧室 &amp; 厅" in svg
    assert PENDANT in svg
    assert in_terminal(PENDANT).count("\n") > 10
