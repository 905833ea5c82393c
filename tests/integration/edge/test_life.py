"""The agent's life: status and last will, stop, a second agent, systemd, ports that come and go, clocks."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hearthline import wire
from hearthline.clock import NS
from hearthline_sim.devices.raycome_cuff import Vitals, result_frame
from hearthline_sim.port import PtyPort
from integration.edge.conftest import MakeGateway
from integration.edge.gateway import (
    PENDANT,
    Center,
    Gateway,
    NotifySocket,
    press_telegram,
    release_telegram,
    wait_for,
)

pytestmark = pytest.mark.integration


def test_status_is_retained_and_the_last_will_tells_of_a_kill(
    pressing: Gateway, make_center: Callable[..., Center]
) -> None:
    center = make_center(pressing)
    wait_for(lambda: center.statuses or center.retained, "the first status")
    late = make_center(pressing)
    wait_for(lambda: late.retained and late.retained[0].state == "online", "the retained status")
    pressing.kill()
    wait_for(lambda: center.statuses and center.statuses[-1].state == "offline", "the last will", 3)
    pressing.start()
    wait_for(lambda: center.statuses[-1].state == "online", "the status of the next agent")
    assert center.statuses[-1].outbox.startswith(pressing.outbox()["outbox"])


def test_a_clean_stop_says_offline_and_ends_with_0(pressing: Gateway, make_center: Callable[..., Center]) -> None:
    center = make_center(pressing)
    wait_for(lambda: pressing.told("uplink connected"), "the uplink")
    assert pressing.stop() == 0
    wait_for(lambda: center.statuses and center.statuses[-1].state == "offline", "the farewell", 3)
    assert "Traceback" not in pressing.log_text()


def test_a_clean_stop_with_the_center_away_ends_with_0(make_gateway: MakeGateway) -> None:
    gateway = make_gateway(center_port=1)
    gateway.start()
    assert gateway.stop() == 0
    assert "Traceback" not in gateway.log_text()


def test_a_second_agent_on_one_outbox_is_refused(pressing: Gateway) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "hearthline_edge", "--config", str(pressing.config)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert second.returncode == 2
    assert "data_dir" in second.stderr
    assert "another agent is using this outbox" in second.stderr


def test_systemd_hears_ready_watchdog_and_stopping(make_gateway: MakeGateway, tmp_path: Path, stack: ExitStack) -> None:
    supervisor = NotifySocket(tmp_path / "notify")
    stack.callback(supervisor.close)
    gateway = make_gateway(environment={"NOTIFY_SOCKET": str(supervisor.path), "WATCHDOG_USEC": "1000000"})
    gateway.start()
    wait_for(lambda: supervisor.listen().count("WATCHDOG=1") >= 3, "three signs of life")
    assert supervisor.heard[0] == "READY=1"
    gateway.stop()
    assert supervisor.listen()[-1] == "STOPPING=1"


def test_an_unplugged_port_recovers_and_a_missing_one_is_told(
    make_gateway: MakeGateway, port: PtyPort, tmp_path: Path, make_center: Callable[..., Center]
) -> None:
    missing = tmp_path / "ttyMISSING"
    gateway = make_gateway(
        serial={"radio": (port.path, "enocean-esp3"), "cuff": (missing, "raycome-bp")}, top="status_period_s = 1.0"
    )
    center = make_center(gateway)
    gateway.start()
    wait_for(lambda: center.fault("port cuff") and center.fault(str(missing)), "the missing port in the status")
    wait_for(lambda: gateway.told("port open"), "the agent at the port")
    port.unplug()
    wait_for(lambda: center.fault("port radio"), "the unplugged port in the status", 5)
    port.replug()
    wait_for(lambda: gateway.told("port open") == 2, "the agent back at the port", 5)
    port.send(press_telegram() + release_telegram())
    assert center.wait_alarms(1)[0].subject == PENDANT
    wait_for(lambda: not center.fault("port radio"), "the fault to go")


def test_noise_half_frames_and_wrong_checksums_do_not_hide_a_press(
    pressing: Gateway, port: PtyPort, make_center: Callable[..., Center]
) -> None:
    center = make_center(pressing)
    wrong = bytearray(press_telegram(button=2))
    wrong[-1] ^= 0xFF
    port.send(b"\x55\x00\x55\xff" + bytes(wrong) + b"\x55" + press_telegram()[:9] + press_telegram() + b"\x55\x00\x07")
    (alarm,) = center.wait_alarms(1)
    assert alarm.data["button"] == "AI"
    wait_for(lambda: pressing.outbox()["refusals"].get("radio:checksum", 0) >= 1, "the counted refusal")


def test_a_free_clock_is_told_with_the_age_and_mended_after_synchronisation(
    make_gateway: MakeGateway, port: PtyPort, make_center: Callable[..., Center]
) -> None:
    gateway = make_gateway(serial={"radio": (port.path, "enocean-esp3")}, tables='[clock]\ntrust = "free"')
    center = make_center(gateway, acknowledge=False)
    gateway.start()
    wait_for(lambda: gateway.told("port open"), "the agent at the port")
    port.send(press_telegram())
    (free,) = center.wait_alarms(1)
    assert not free.envelope.synced
    assert free.envelope.age_s is not None
    assert 0 <= free.envelope.age_s < 5
    assert center.statuses[-1].clock == "free"
    gateway.stop()
    gateway.tables = '[clock]\ntrust = "synced"'
    gateway.start()
    again = wait_for(lambda: next((e for e in center.events if e.envelope.synced), None), "the re-timed record")
    assert again is not None
    assert again.id == free.id
    assert again.envelope.age_s is None
    assert abs(again.wall_ns - free.wall_ns) < NS


def test_a_cuff_s_result_is_a_vital_sign_in_ucum_units(
    make_gateway: MakeGateway, tmp_path: Path, stack: ExitStack, make_center: Callable[..., Center]
) -> None:
    cuff = PtyPort(tmp_path / "ttyCUFF", 10, 9600)
    stack.callback(cuff.close)
    gateway = make_gateway(serial={"cuff": (cuff.path, "raycome-bp")})
    center = make_center(gateway)
    gateway.start()
    wait_for(lambda: gateway.told("port open"), "the agent at the port")
    cuff.send(result_frame(2, datetime(2026, 5, 4, 7, 8, 9, tzinfo=UTC), Vitals(131, 82, 64)))
    wait_for(lambda: center.of_type("hearthline.vital.v1"), "the vital sign")
    (vital,) = center.of_type("hearthline.vital.v1")
    assert [(v["quantity"], v["value"], v["unit"]) for v in vital.data["values"]] == [
        ("systolic", 131, "mm[Hg]"),
        ("diastolic", 82, "mm[Hg]"),
        ("heart_rate", 64, "/min"),
    ]
    assert (vital.data["user"], vital.data["device_time"]) == (2, "2026-05-04T07:08:09")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            'buadrate = 9600\nname = "a"\nport = "/dev/null"\ndriver = "raycome-bp"',
            r"serial\[0\]: unknown key `buadrate`",
        ),
        ('name = "a"\nport = "/dev/null"\ndriver = "raycome"', r"serial\[0\]\.driver = 'raycome'"),
        (
            'name = "a"\nport = "/dev/null"\ndriver = "dlt645-2007"\noptions = { meters = ["12"] }',
            r"serial\[0\]\.options: meters",
        ),
    ],
)
def test_a_wrong_key_names_itself_and_its_file(make_gateway: MakeGateway, line: str, told: str) -> None:
    gateway = make_gateway(tables=f"[[serial]]\n{line}")
    gateway.start(ready=False)
    assert gateway.process is not None
    assert gateway.process.wait(20) == 2
    gateway.process = None
    assert re.search(f"{re.escape(str(gateway.config))}: {told}", gateway.log_text()), gateway.log_text()


def test_a_kill_in_the_middle_keeps_what_was_committed(
    pressing: Gateway, port: PtyPort, make_center: Callable[..., Center]
) -> None:
    """Presses while the agent is killed again and again: each ordinal once, none missing among the committed."""
    center = make_center(pressing)
    for button in (0, 1, 2, 3) * 2:
        wait_for(lambda: pressing.told("port open"), "the agent at the port")
        port.send(press_telegram(button) + release_telegram())
        pressing.send_signal(signal.SIGKILL)
        pressing.kill()
        pressing.start()
    wait_for(lambda: pressing.told("port open"), "the agent at the port")
    port.send(press_telegram(button=0, sender="0A0B0C0D"))
    wait_for(lambda: [a for a in center.alarms if a.subject == "enocean:0A0B0C0D"], "the last press")
    ordinals = sorted(a.data["ordinal"] for a in center.alarms if a.subject == PENDANT)
    assert ordinals == list(range(1, len(ordinals) + 1))
    wait_for(lambda: pressing.outbox()["event"]["depth"] == 0, "the outbox to let go")
    files = {event.envelope.outbox.partition(".")[0] for event in center.events}
    assert files == {pressing.outbox()["outbox"]}
    assert wire.topic(pressing.name, wire.UP_EVENT)
