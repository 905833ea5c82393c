"""`hearthline device add` in a real terminal, with a simulated pendant on a serial line and the running agent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import EntryPoint
from typing import Any
from xml.etree import ElementTree

import pytest

from hearthline import cli, wire
from hearthline_edge.control_client import ControlClient
from hearthline_edge.device_list import load_list
from hearthline_sim.port import PtyPort
from integration.edge.gateway import PENDANT, Center, Gateway, press_telegram, release_telegram, wait_for
from terminal import Screen, command
from trials import LONG

pytestmark = pytest.mark.integration
ADD = ("device.home", "hearthline_edge.commands_device:app", "device", "add")
DEVICES = ("edge", "hearthline_edge.commands:app", "edge", "devices")
LEAVING = ("kill", "ctrl-c", "end of input") if LONG else ("kill",)


@pytest.fixture
def open_screen(pressing: Gateway, stack: ExitStack) -> Callable[..., Screen]:
    wait_for(lambda: (pressing.data / "control.sock").exists(), "the agent's socket")

    def make(*arguments: str, lang: str = "en_US.UTF-8") -> Screen:
        screen = Screen(command(*ADD, "--config", str(pressing.config), *arguments), pressing.folder, lang)
        stack.callback(screen.close)
        return screen

    return make


class Answering(Center):
    """A center that answers bindings by a rule."""

    result = "bound"

    def _arrived(self, client: Any, data: Any, message: Any) -> None:
        super()._arrived(client, data, message)
        if message.topic.endswith(wire.UP_EVENT) and self.events[-1].type == "hearthline.binding.v1":
            event = self.events[-1]
            result = "removed" if event.data["state"] == "removed" else self.result
            self.down(
                wire.DOWN_COMMAND,
                wire.Command(id=f"a-{event.id}", type="bound", device=event.data["device"], result=result),
            )


@pytest.fixture
def center(pressing: Gateway) -> Iterator[Answering]:
    made = Answering(pressing.center_port, pressing.name)
    wait_for(lambda: made.retained or made.statuses, "the gateway's link")
    yield made
    made.close()


def press(port: PtyPort, sender: str = "01020304", button: int = 0) -> None:
    port.send(press_telegram(button, sender) * 3 + release_telegram(sender) * 2)


def states(gateway: Gateway) -> dict[str, str]:
    return {device.id: device.state for device in load_list(gateway.folder / "agent")}


def test_an_installer_binds_a_pendant_and_its_second_press_confirms(
    open_screen: Callable[..., Screen], pressing: Gateway, port: PtyPort, center: Answering
) -> None:
    screen = open_screen()
    screen.expect(r"Gateway gw-\d+ · connected to the center")
    screen.expect(r"1\) button without a battery")
    screen.expect(r"\[1\] > ")
    screen.type("")
    screen.expect("press it once")
    screen.expect("type or scan its label")
    press(port)
    screen.expect(rf"1\) {PENDANT}, button AI, -60 dBm")
    screen.expect(f"Enter takes {PENDANT}")
    press(port, button=2)
    screen.expect(rf"1\) {PENDANT}, button AI, BI")
    screen.type("")
    screen.expect(r"Name .*: ")
    screen.type("王 pendant")
    screen.expect(r"1\) bedroom")
    screen.expect("A number, or any word: ")
    screen.type("99")
    screen.expect("there is no such number")
    screen.type("2")
    screen.expect("Button AI: 1 emergency, 2 a service")
    screen.type("red")
    screen.expect("type 1 or 2")
    screen.type("1")
    screen.expect("Button BI")
    screen.type("2")
    screen.expect("Its other buttons")
    screen.type("")
    screen.expect(f"{PENDANT}: 王 pendant, bathroom, \\*=emergency, BI=service")
    screen.expect("once more to confirm")
    press(port, sender="0A0B0C0D")
    screen.expect("that was enocean:0A0B0C0D, not this one")
    press(port)
    screen.expect("Confirmed")
    screen.expect("Bound, and the center has registered it")
    screen.expect("Label: ")
    screen.type("1")
    screen.expect("Bind another one")
    screen.type("")
    assert screen.ended() == 0
    (device,) = load_list(pressing.folder / "agent")
    assert (device.id, device.name, device.room, device.kind) == (PENDANT, "王 pendant", "bathroom", "push-button")
    assert (device.state, device.buttons) == ("bound", {"*": "emergency", "BI": "service"})
    runs = {event.data["run"] for event in center.of_type("hearthline.commissioning.v1")}
    assert len(runs) == 1
    unasked = [alarm.subject for alarm in center.alarms if alarm.data.get("commissioning") not in runs]
    assert unasked == [], "no press that was asked for pages anybody"
    assert [e.data["state"] for e in center.of_type("hearthline.commissioning.v1")] == ["begun", "ended"]
    press(port)
    alarm = wait_for(lambda: [a for a in center.alarms if "commissioning" not in a.data], "the next press")[0]
    assert (alarm.subject, alarm.data["role"]) == (PENDANT, "emergency"), "what is pressed afterwards is real"


def test_in_chinese_by_its_label_and_a_foreign_label_is_told(
    open_screen: Callable[..., Screen], pressing: Gateway, port: PtyPort, center: Answering
) -> None:
    screen = open_screen(lang="zh_CN.UTF-8")
    screen.expect("已连上中心")
    screen.type("1")
    screen.expect("输入或扫描标签")
    screen.type("https://qr.example.com/p?a=12")
    screen.expect("别的厂家的标签")
    screen.type("hearthline-enrol:https://center#7K3M")
    screen.expect("这是网关的标签")
    screen.type("7")
    screen.expect("没有这个编号")
    screen.type("30S000001020304+1P000B00000004+10Z00+11Z")
    screen.expect("名称")
    screen.type("")
    screen.expect("哪个房间")
    screen.type("客厅沙发旁")
    screen.expect("其余按钮")
    screen.type("2")
    screen.expect(f"请再按一下 {PENDANT} 确认")
    press(port)
    screen.expect("确认。")
    screen.expect("已绑定，中心已登记")
    screen.type("2")
    screen.expect(r"标签在 enocean-01020304\.svg")
    screen.expect("还要绑定一个吗")
    screen.type("n")
    assert screen.ended() == 0
    (device,) = load_list(pressing.folder / "agent")
    assert (device.name, device.room, device.buttons) == ("吊坠", "客厅沙发旁", {"*": "service"})
    assert "客厅沙发旁" in (pressing.folder / "enocean-01020304.svg").read_text(encoding="utf-8")


def test_what_is_bound_here_is_left_aside_and_what_is_bound_elsewhere_refused(
    open_screen: Callable[..., Screen], pressing: Gateway, port: PtyPort, center: Answering
) -> None:
    wanted = {"id": PENDANT, "name": "红色吊坠", "room": "bedroom"}
    ControlClient(pressing.data / "control.sock").ask({"do": "bind", "device": wanted})
    wait_for(lambda: states(pressing) == {PENDANT: "bound"}, "the center's answer")
    center.result = "elsewhere"
    screen = open_screen("--family", "kinetic", "--room", "kitchen", "--name", "second", "--button", "*=emergency")
    screen.expect("type or scan its label")
    press(port)
    screen.expect(f"{PENDANT} is bound here already: 红色吊坠, bedroom")
    screen.type(PENDANT)
    screen.expect("is bound here already")
    press(port, sender="0A0B0C0D")
    screen.expect("Enter takes enocean:0A0B0C0D")
    screen.type("1")
    screen.expect("once more to confirm")
    press(port, sender="0A0B0C0D")
    screen.expect("enocean:0A0B0C0D is bound in another home, and was not bound here")
    assert screen.ended() == 1
    assert states(pressing) == {PENDANT: "bound"}


@pytest.mark.torture
def test_whoever_leaves_has_changed_nothing_and_the_next_press_is_an_alarm(
    open_screen: Callable[..., Screen], pressing: Gateway, port: PtyPort, center: Answering
) -> None:
    for number, how in enumerate(LEAVING, 1):
        sender = f"0102030{number}"
        screen = open_screen("--family", "kinetic")
        screen.expect("type or scan its label")
        press(port, sender)
        screen.expect("Enter takes")
        if how == "ctrl-c":
            screen.interrupt()
        elif how == "end of input":
            screen.type("1")
            screen.expect("Name")
            screen.type("\x04")
        else:
            screen.kill()
        assert screen.ended() != 0, how
        assert states(pressing) == {}
        press(port, sender, button=2)
        alarms = [alarm for alarm in center.wait_alarms(2 * number) if alarm.subject == f"enocean:{sender}"]
        assert ["commissioning" in alarm.data for alarm in alarms] == [True, False], how


def test_whoever_leaves_once_a_device_is_bound_is_not_told_otherwise(
    open_screen: Callable[..., Screen], pressing: Gateway, port: PtyPort, center: Answering
) -> None:
    screen = open_screen("--family", "kinetic", "--name", "pendant", "--room", "bedroom")
    screen.expect("type or scan its label")
    press(port)
    screen.expect("Enter takes")
    for question in ("", "Button AI", "Its other buttons", "once more to confirm"):
        screen.expect(question)
        screen.type("")
    screen.expect("Label: ")
    screen.type("q")
    screen.expect("Bind another one")
    screen.type("q")
    assert screen.ended() == 0
    assert "what was bound before stays" in screen.text
    assert "nothing was bound" not in screen.text
    assert states(pressing) == {PENDANT: "bound"}


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(pressing: Gateway, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command that asks nothing: exit code, what it wrote, what it complained of."""
    wait_for(lambda: (pressing.data / "control.sock").exists(), "the agent's socket")

    def run(entry: str, target: str, name: str, *arguments: str, lang: str = "en") -> tuple[int, str, str]:
        monkeypatch.setenv("HEARTHLINE_LANG", lang)
        monkeypatch.setattr(cli, "entry_points", lambda group: [EntryPoint(entry, target, group)])
        capsys.readouterr()
        code = cli.run([name, *arguments])
        return code, *capsys.readouterr()

    return run


def test_scripts_give_every_answer_and_read_json(pressing: Gateway, center: Answering, run: Run) -> None:
    label, config = pressing.folder / "label.svg", ("--config", str(pressing.config))
    answers = ("--id", "enocean:0a0b0c0d", "--room", "bedroom", "--button", "*=emergency", "--button", "BO=service")
    code, out, error = run(
        *ADD, *config, *answers, "--kind", "push-button", "--label", str(label), "--yes", "--json", lang="zh"
    )
    assert (code, error) == (0, "")
    told = json.loads(out)
    assert (told["id"], told["room"], told["result"]) == ("enocean:0A0B0C0D", "卧室", "bound")
    assert told["buttons"] == {"*": "emergency", "BO": "service"}
    assert ElementTree.parse(label).getroot().tag.endswith("svg")
    listed = json.loads(run(*DEVICES, *config, "--json")[1])
    assert listed["running"]
    (device,) = listed["devices"]
    assert (device["id"], device["state"], device["heard"]) == ("enocean:0A0B0C0D", "bound", None)
    line = run(*DEVICES, *config, lang="zh")[1]
    assert "已绑定" in line
    assert "BO=服务" in line
    assert "the center knows" in run(*DEVICES, *config, "remove", told["id"])[1]
    assert states(pressing) == {}
    code, _, error = run(*DEVICES, "remove", told["id"], *config)
    assert (code, "not in this home's list" in error) == (1, True)


WRONG = [
    (("--id", "enocean:0A0B0C0D"), 2, "--yes needs --room"),
    (("--id", "ftp://x", "--room", "hall"), 1, "another maker's label"),
    (("--id", "a:b", "--room", "hall", "--button", "A=launch"), 2, "should be BUTTON="),
    (("--family", "toaster", "--room", "hall"), 2, "there is no family 'toaster' here"),
    (("--seconds", "1", "--room", "hall"), 1, "Nothing was heard within 1 s"),
    (("--id", "enocean:0A0B0C0D", "--room", "x" * 65), 1, "room has 65 characters"),
    (("--id", "enocean:0A0B0C0D", "--room", "a\x07"), 1, "not a device"),
]


def test_a_wrong_answer_is_told_with_its_exit_code_and_changes_nothing(pressing: Gateway, run: Run) -> None:
    for arguments, code, said in WRONG:
        found = run(*ADD, "--config", str(pressing.config), "--yes", *arguments)
        assert (found[0], said in found[2]) == (code, True), found
        assert states(pressing) == {}


@pytest.mark.torture
@pytest.mark.long
def test_a_script_learns_by_a_press_and_will_not_choose_between_two(
    pressing: Gateway, port: PtyPort, center: Answering, run: Run
) -> None:
    given = ("--config", str(pressing.config), "--yes", "--family", "kinetic", "--room", "hall", "--seconds", "20")
    for senders, code in ((("01020304", "0A0B0C0D"), 1), (("01020304",), 0)):
        over = threading.Event()

        def press_until(senders: tuple[str, ...] = senders, over: threading.Event = over) -> None:
            while not over.wait(0.3):
                port.send(b"".join(press_telegram(sender=sender) for sender in senders))

        presses = threading.Thread(target=press_until)
        presses.start()
        found = run(*ADD, *given)
        over.set()
        presses.join()
        assert found[0] == code, found
    assert states(pressing) == {PENDANT: "bound"}


def test_without_an_agent_it_says_how_to_start_one(pressing: Gateway, run: Run) -> None:
    config = ("--config", str(pressing.config))
    pressing.kill()
    code, _, error = run(*ADD, *config, "--id", PENDANT, "--room", "hall", "--yes", lang="zh")
    assert code == 1
    assert "没有代理程序" in error
    assert "systemctl start hearthline-edge" in error
    assert json.loads(run(*DEVICES, *config, "--json")[1]) == {"running": False, "devices": []}
