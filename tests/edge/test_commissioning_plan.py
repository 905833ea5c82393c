"""What a home's commissioning is made of, what it leaves behind on the disk, and the page that is printed of it."""

from __future__ import annotations

import os
import pwd
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthline.commissioning import (
    MAX_STEPS,
    Hops,
    Reason,
    Report,
    Step,
    StepState,
    What,
    as_document,
    canonical,
    report_of,
)
from hearthline.errors import ConfigError, LinkError
from hearthline_edge.agent_folder import agent_folder
from hearthline_edge.commands_commission import commission
from hearthline_edge.commissioning_files import page
from hearthline_edge.commissioning_plan import Planned, plan, what_of
from hearthline_edge.commissioning_state import FILE, State, forget_state, load_state, save_state
from hearthline_edge.commissioning_texts import TEXTS
from hearthline_edge.device_list import ListedDevice, write_list

NO_ROOM = frozenset({"", "worn"})


def device(id: str, kind: str = "", room: str = "", **more: Any) -> ListedDevice:
    return ListedDevice(id=id, kind=kind, room=room, **more)


def tried(*devices: ListedDevice, rooms: tuple[str, ...] = ()) -> list[tuple[str, str, str]]:
    return [(each.device, each.room, each.what.value) for each in plan(devices, rooms, NO_ROOM)]


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (device("a:1", "pendant"), What.PRESS),
        (device("a:1", "push-button"), What.PRESS),
        (device("a:1", "pendant", buttons={"*": "ignore"}), None),
        (device("a:1", "pendant", buttons={"A0": "service", "*": "ignore"}), What.PRESS),
        (device("a:1", "cuff"), What.VITAL),
        (device("a:1", "meter"), What.READING),
        (device("a:1", "detector", buttons={"*": "emergency"}), None),
        (device("a:1", "activity"), None),
        (device("raycome:p"), What.VITAL),
        (device("dlt645:000012345678"), What.READING),
        (device("a:1", buttons={"*": "emergency"}), What.PRESS),
        (device("a:1"), None),
    ],
)
def test_how_a_device_is_tried(given: ListedDevice, what: What | None) -> None:
    assert what_of(given) is what


def test_a_worn_pendant_is_pressed_in_every_room_and_a_fixed_one_in_its_own() -> None:
    worn, fixed = device("a:1", "pendant", "worn"), device("a:2", "push-button", "bathroom")
    cuff, meter = device("a:3", "cuff", "living-room"), device("a:4", "meter")
    assert tried(worn, fixed, cuff, meter) == [
        ("a:1", "bathroom", "press"),
        ("a:2", "bathroom", "press"),
        ("a:1", "living-room", "press"),
        ("a:3", "living-room", "vital"),
        ("a:4", "", "reading"),
    ]
    rooms = ("bedroom", "kitchen")
    assert tried(worn, fixed, rooms=rooms) == [
        ("a:1", "bedroom", "press"), ("a:1", "kitchen", "press"), ("a:2", "bathroom", "press"),
    ]  # fmt: skip
    assert tried(device("a:1", "pendant")) == [("a:1", "", "press")]
    assert tried(device("a:1", "pendant", "bedroom"), rooms=("hall",)) == [("a:1", "hall", "press")]


def test_what_the_center_has_refused_is_of_another_home() -> None:
    assert tried(device("a:1", "pendant", state="refused")) == []


def test_a_state_survives_and_one_that_nobody_can_read_begins_anew(tmp_path: Path) -> None:
    folder = tmp_path / "commissioning"
    assert load_state(folder, "gw-1") is None
    state = State(gateway="gw-1", begun="2026-11-22T08:00:00Z", rooms=["卧室"])
    state.begin("run-1")
    step = Step(device="a:1", room="卧室", what=What.PRESS, state=StepState.FAILED, reason="late")
    state.put(step)
    state.put(Step(device="a:1", room="卧室", what=What.PRESS, state=StepState.PASSED, hops_ms=Hops(committed=3)))
    save_state(folder, state)
    assert load_state(folder, "gw-1") == state
    assert len(state.steps) == 1
    assert load_state(folder, "gw-2") is None, "the card was another gateway's"
    (folder / FILE).write_bytes(b'{"gateway": "gw-1", ')
    assert load_state(folder, "gw-1") is None
    forget_state(folder)
    forget_state(folder)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be written"):
        save_state(tmp_path / "file", state)


def test_a_report_has_every_step_once_and_what_nobody_came_to_is_to_do() -> None:
    planned = [Planned("a:1", room, What.PRESS, "Mrs Wang's") for room in ("bedroom", "hall")]
    state = State(gateway="gw-1", begun="2026-11-22T08:00:00Z", runs=["run-1"])
    state.put(Step(device="a:1", room="bedroom", what=What.PRESS, state=StepState.PASSED))
    state.put(Step(device="a:9", room="bedroom", what=What.PRESS, state=StepState.PASSED))
    report = state.report(planned, "2026-11-22T08:09:00Z", "0.1.0", 10.0)
    assert [(step.room, step.state, step.reason) for step in report.steps] == [
        ("bedroom", StepState.PASSED, ""), ("hall", StepState.SKIPPED, Reason.NOT_TRIED),
    ]  # fmt: skip
    assert report_of(as_document(report)) == report
    assert b"Wang" not in canonical(as_document(report))
    with pytest.raises(ConfigError, match="at most"):
        state.report(planned * MAX_STEPS, "", "", 10.0)


def test_a_home_without_devices_has_nothing_to_try_and_says_what_to_do(tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(f'gateway = "gw-1"\ndata_dir = "{tmp_path}"\n[uplink]\nhost = "127.0.0.1"\n')
    with pytest.raises(ConfigError, match="hearthline device add"):
        commission(config, no_input=True)
    agent_folder(tmp_path).mkdir()
    (agent_folder(tmp_path) / "devices.toml").write_text("[[device]")
    with pytest.raises(ConfigError, match="the list is not known"):
        commission(config, no_input=True)


def test_without_a_running_agent_nothing_is_begun(tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(f'gateway = "gw-1"\ndata_dir = "{tmp_path}"\n[uplink]\nhost = "127.0.0.1"\n')
    agent_folder(tmp_path).mkdir()
    write_list(agent_folder(tmp_path), [device("a:1", "pendant", "bedroom")])
    with pytest.raises(LinkError, match="systemctl start"):
        commission(config, rooms="卧室，客厅、厨房, hall", no_input=True)
    state = load_state(tmp_path / "commissioning", "gw-1")
    assert state is not None
    assert state.rooms == ["卧室", "客厅", "厨房", "hall"], "whichever comma is typed"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_whatever_comes_as_a_report_is_one_or_a_value_error(document: object) -> None:
    try:
        found = report_of(document)
    except ValueError:
        return
    assert isinstance(found, Report)


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    """Section 3.2: no spaces, keys in order, whole numbers as they are, nothing but what must be is escaped."""
    document = {"b": [1, -7, True, None], "a": {"é": '客厅\n"\\\u001f/', "Z": 2**53 - 1}}
    expected = '{"a":{"Z":9007199254740991,"é":"客厅\\n\\"\\\\\\u001f/"},"b":[1,-7,true,null]}'
    assert canonical(document).decode() == expected


class Words(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize("lang", ["zh_CN.UTF-8", "en_GB.UTF-8"])
def test_the_page_shows_whatever_things_are_called_and_runs_nothing(lang: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", lang)
    odd = '<script>alert("1")</script>'
    steps = [
        Step(device=odd, room="<img src=x onerror=y>", what=What.PRESS, state=StepState.FAILED, reason=odd[:32]),
        Step(
            device="a:1", room="", what=What.READING, state=StepState.PASSED, hops_ms=Hops(received=131), link_quality=9
        ),
    ]
    times = {"begun": "2026-11-22T08:00:00Z", "ended": "2026-11-22T08:09:00Z"}
    report = Report(gateway="gw-1", runs=["r"], **times, version="0.1.0", within_ms=10_000, steps=steps)
    shown = Words(page(report, is_signed=False))
    assert not {"script", "img"} & set(shown.tags)
    assert odd in shown.words
    assert "0.13 s" in shown.words
    assert TEXTS.say("page-to-dos") in shown.words
    assert set(TEXTS.texts) >= {f"reason-{reason.value}" for reason in Reason}


@pytest.mark.timeout(20)
@pytest.mark.usefixtures("root")
def test_root_writes_in_the_agents_folder_with_the_agents_rights_alone() -> None:
    """Who has taken over the agent cannot have root's command write, read or remove where a link leads."""
    nobody = pwd.getpwnam("nobody").pw_uid
    state = State(gateway="gw-1", begun="2026-11-22T10:00:00.000000Z")
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        data, roots = Path(name) / "data", Path(name) / "roots"
        data.mkdir(mode=0o700)
        os.chown(data, nobody, -1)
        roots.mkdir(mode=0o755)
        folder = data / "commissioning"
        save_state(folder, state)
        assert {each.stat().st_uid for each in (folder, folder / FILE)} == {nobody}
        assert load_state(folder, "gw-1") == state
        (folder / FILE).rename(roots / FILE)
        os.mkfifo(folder / FILE)
        with pytest.raises(ConfigError, match="no plain file"):
            load_state(folder, "gw-1")
        forget_state(folder)
        folder.rmdir()
        folder.symlink_to(roots)
        with pytest.raises(ConfigError, match="cannot be written: Permission denied"):
            save_state(folder, state)
        with pytest.raises(PermissionError):
            forget_state(folder)
        assert [each.name for each in roots.iterdir()] == [FILE]
    assert (os.geteuid(), os.getegid()) == (0, os.getgid())
