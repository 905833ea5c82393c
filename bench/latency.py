"""Press to operator, at rest and beside 1,000 readings a second: the whole product as separate processes on loopback.

From the last byte of the press's first telegram on the serial line to the event on an operator's stream. The load is
Shelly plugs of five readings a message on the home's broker, through the agent, the center's broker and the store.

    python bench/latency.py [--presses 100] [--seconds 60] [--load 1000]
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from hearthline_sim.demo.stack import Plan, Stack
from hearthline_sim.demo.trial import Trial, run_trial

READINGS_A_MESSAGE = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presses", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--load", type=int, default=1000, help="readings a second beside the presses")
    options = parser.parse_args()
    print(
        f"{'load, readings/s':>18} {'sent/s':>8} {'presses':>8} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'faults':>7}"
    )
    for load in (0, options.load):
        report, sent = measure(options.seconds, options.presses, load)
        delay = report["press_to_alert_ms"]
        print(
            f"{load:>18} {sent / options.seconds:>8.0f} {delay['count']:>8} {delay['p50']:>8.1f} {delay['p99']:>8.1f} "
            f"{delay['max']:>8.1f} {len(report['faults']) + report['alerts_lost'] + report['readings_lost']:>7}"
        )


def measure(seconds: float, presses: int, load: int) -> tuple[dict[str, Any], int]:
    """One trial beside `load` readings a second; the report and how many readings were published."""
    folder = Path(tempfile.mkdtemp(prefix="hearthline-bench-"))
    stack = Stack(folder, Plan(pendants=24, sos=8))
    sent = [0]

    def burden(running: Stack, over: threading.Event) -> None:
        sent[0] = publish_load(running.home_broker.port_v311, load, over)

    try:
        stack.start()
        report = run_trial(stack, Trial(seconds, presses, seed=1, meddle=burden if load else None), lambda _: None)
    finally:
        stack.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return report, sent[0]


def publish_load(port: int, readings_a_second: int, over: threading.Event) -> int:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="load", protocol=paho.MQTTv311)
    client.connect("127.0.0.1", port)
    client.loop_start()
    start, messages = time.monotonic(), 0
    while not over.wait(0.01):
        due = int((time.monotonic() - start) * readings_a_second / READINGS_A_MESSAGE)
        for number in range(messages, due):
            status = {
                "id": 0,
                "apower": 10.0 + number % 7,
                "voltage": 230.1,
                "current": 0.05,
                "aenergy": {"total": 1000.0 + number * 0.01},
                "temperature": {"tC": 31.5},
            }
            client.publish(f"shellyplug-load{number % 50}/status/switch:0", json.dumps(status), qos=1)
        messages = max(messages, due)
    client.disconnect()
    client.loop_stop()
    return messages * READINGS_A_MESSAGE


if __name__ == "__main__":
    main()
