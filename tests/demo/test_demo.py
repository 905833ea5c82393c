"""The demo as a newcomer runs it: the command itself, its report, its exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import urllib3

from servers import influxd

pytestmark = [pytest.mark.demo, pytest.mark.timeout(240)]
DEMO = [sys.executable, "-m", "hearthline", "demo"]


def run_demo(report: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(
        [*DEMO, "--report", str(report), *arguments], capture_output=True, text=True, timeout=200, check=False
    )
    return done.returncode, json.loads(report.read_text("utf-8")) if report.exists() else {}, done.stdout + done.stderr


def assert_all_arrived(report: dict[str, Any], presses: int) -> None:
    assert report["presses_sent"] == presses
    assert report["alarm_events"] == presses
    assert report["alerts_raised"] >= 1
    assert report["alerts_lost"] == report["alerts_duplicated"] == report["readings_lost"] == 0
    assert report["faults"] == report["not_taken"] == []
    assert report["received_at_home"] == presses
    assert report["accepted_at_home"] >= 1
    assert report["readings_stored"] == report["readings_sent"] > 0
    assert report["vitals_stored"] == report["vitals_sent"] > 0
    assert report["press_to_alert_ms"]["count"] == presses


def test_unattended_demo_loses_and_doubles_nothing(tmp_path: Path) -> None:
    code, report, output = run_demo(tmp_path / "report.json", "--seconds", "30", "--presses", "20", "--seed", "1")
    assert code == 0, output
    assert_all_arrived(report, 20)


@pytest.mark.integration
def test_unattended_demo_on_influxdb(tmp_path: Path) -> None:
    with influxd(tmp_path) as server:
        code, report, output = run_demo(
            tmp_path / "report.json",
            "--seconds",
            "30",
            "--presses",
            "10",
            "--store",
            "influxdb",
            "--influx-url",
            server.url,
        )
    assert code == 0, output
    assert report["store"] == "influxdb"
    assert_all_arrived(report, 10)


def test_a_person_presses_and_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    terminal, inside = pty.openpty()
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    demo = subprocess.Popen(
        DEMO,
        stdin=inside,
        stdout=inside,
        stderr=inside,
        env=environment,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
    )
    os.close(inside)
    try:
        shown = read_until(terminal, "q quit")
        url = re.search(r"http://127\.0\.0\.1:\d+", shown)
        password = re.search(r"password (\S+)", shown)
        assert url is not None
        assert password is not None
        assert urllib3.request("GET", url.group() + "/readyz", retries=False).status == 200
        os.write(terminal, b"\n")
        shown = read_until(terminal, "the center has received press 1")
        assert "enocean:002EE196 pressed (emergency, press 1)" in shown
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) >= 6  # two brokers, ingest, desk, web, agent, home
    finally:
        demo.send_signal(signal.SIGINT)
        drain(terminal, demo)
    assert demo.returncode == 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_store_is_wrong_use(tmp_path: Path) -> None:
    code, _, output = run_demo(tmp_path / "report.json", "--store", "papyrus")
    assert code == 2
    assert "--store papyrus" in output


def read_until(terminal: int, words: str, timeout_s: float = 60.0) -> str:
    """What the terminal shows up to and with `words`."""
    shown = ""
    deadline = time.monotonic() + timeout_s
    while words not in shown:
        ready, _, _ = select.select([terminal], [], [], max(deadline - time.monotonic(), 0))
        assert ready, f"{words!r} did not appear in: {shown}"
        try:
            shown += os.read(terminal, 4096).decode()
        except OSError:
            pytest.fail(f"the demo ended before it said {words!r}: {shown}")
    return shown


def heed_ctrl_c() -> None:
    """A shell's background jobs ignore it, and what they start does too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def drain(terminal: int, demo: subprocess.Popen[bytes]) -> None:
    """Let the demo say its last words, so that it can end."""
    while demo.poll() is None:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                os.read(terminal, 4096)
            except OSError:  # the other side is closed
                break
    demo.wait(30)
    os.close(terminal)
