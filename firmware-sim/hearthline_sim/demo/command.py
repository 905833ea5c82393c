"""`hearthline demo`: by hand, or by itself with `--seconds`."""

from __future__ import annotations

import select
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import msgspec
import typer

from hearthline.errors import ConfigError, HearthlineError
from hearthline_sim.demo.stack import OPERATOR, Plan, Stack
from hearthline_sim.demo.trial import Trial, failed, run_trial, write_report

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_ORDERS = {"": "press", "p": "press", "s": "service", "z": "sos", "b": "measure"}
_HELP = "  Enter press the pendant · s service call · z Zigbee SOS · b blood pressure · q quit"


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(help="Run by itself for so long, then report.")] = None,
    presses: Annotated[int, typer.Option(help="With --seconds: so many presses.", min=1)] = 20,
    seed: Annotated[int, typer.Option(help="With --seconds: decides every drawn value.")] = 1,
    report: Annotated[Path | None, typer.Option(help="With --seconds: the JSON report.", metavar="FILE")] = None,
    store: Annotated[str, typer.Option(help="embedded or influxdb.")] = "embedded",
    influx_url: Annotated[str, typer.Option(help="With --store influxdb.")] = "http://127.0.0.1:8086",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the folder with logs and databases.")] = False,
) -> int:
    """The whole product on this machine: broker, simulated home, agent and center, on free loopback ports.

    Example: hearthline demo --seconds 60 --presses 20 --seed 1 --report report.json
    """
    if store not in ("embedded", "influxdb"):
        raise ConfigError(f"--store {store}: there are embedded and influxdb")
    if seconds is not None and seconds <= 0:
        raise ConfigError("--seconds: must be above zero")
    signal.signal(signal.SIGTERM, _end_as_by_ctrl_c)
    url = influx_url if store == "influxdb" else None
    plan = Plan(store_url=url) if seconds is None else Plan(pendants=24, sos=8, store_url=url)
    folder = Path(tempfile.mkdtemp(prefix="hearthline-demo-"))
    stack = Stack(folder, plan)
    _say("Starting brokers, center and agent …")
    try:
        stack.start()
        if seconds is None:
            _by_hand(stack)
            return 0
        result = run_trial(stack, Trial(seconds, presses, seed), _say)
        write_report(result, report)
        _say(_summary(result))
        return 1 if failed(result) else 0
    except KeyboardInterrupt:
        _say("\nStopping …")
        return 0 if seconds is None else 1
    except HearthlineError:
        keep = True
        raise
    finally:
        stack.stop()
        if keep:
            _say(f"Logs and databases are in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _by_hand(stack: Stack) -> None:
    stack.wait_for_gateway()
    sim = stack.processes.start("sim", stack.sim_command(), pipes=True)
    assert sim.stdout is not None
    assert sim.stdin is not None
    _tell_until_ready(sim.stdout)
    threading.Thread(target=_tell, args=(sim.stdout,), name="tell", daemon=True).start()
    _say(f"\nThe center's console:  {stack.url}\n  name {OPERATOR}, password {stack.password} (for this demo only)\n")
    _say(_HELP)
    while sim.poll() is None:
        if not select.select([sys.stdin], [], [], 0.5)[0]:
            continue
        line = sys.stdin.readline()
        if line.strip() == "q":
            return
        if not line:  # no terminal: stay until Ctrl-C
            sim.wait()
        order = _ORDERS.get(line.strip())
        if order is None:
            _say(_HELP)
        else:
            sim.stdin.write(order.encode() + b"\n")
            sim.stdin.flush()
    raise HearthlineError(f"the simulated home ended:\n{stack.processes.tail('sim')}")


def _tell_until_ready(lines: Any) -> None:
    for line in lines:
        if msgspec.json.decode(line)["kind"] == "ready":
            return


def _tell(lines: Any) -> None:
    for line in lines:
        text = _in_words(msgspec.json.decode(line))
        if text:
            _say(text)


def _in_words(happening: dict[str, Any]) -> str:
    device = happening.get("device", "")
    match happening["kind"]:
        case "press":
            return f"  home    {device} pressed ({happening['role']}, press {happening['ordinal']})"
        case "received":
            return f"  home    {device}: the center has received press {happening['ordinal']}"
        case "accepted":
            return f"  home    {device}: a person has accepted press {happening['ordinal']}"
        case "vital":
            return f"  home    {device}: {happening['sys']}/{happening['dia']} mmHg, pulse {happening['pulse']}"
        case "siren" | "relay":
            return f"  home    {device} {'sounds' if happening['on'] else 'is quiet again'}"
        case "error":
            return f"  home    {happening['message']}"
    return ""


def _summary(report: dict[str, Any]) -> str:
    delay = report["press_to_alert_ms"]
    return (
        f"{report['presses_sent']} presses, {report['alarm_events']} alarm events, {report['alerts_raised']} alerts; "
        f"lost {report['alerts_lost']}, duplicated {report['alerts_duplicated']}; press to operator "
        f"p50 {delay['p50']} ms, p99 {delay['p99']} ms, max {delay['max']} ms; "
        f"readings {report['readings_stored']}/{report['readings_sent']}, "
        f"vital signs {report['vitals_stored']}/{report['vitals_sent']}"
    )


def _end_as_by_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    print(text, flush=True)
