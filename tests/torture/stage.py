"""Where a fault trial plays: the whole product as processes, what may be killed of it, and the lines between them.

`stage(folder, plan, …)` builds it, with a network of two namespaces or a proxy on each way to the center's broker, or
with an InfluxDB; everything is gone at its end. `play` runs a trial with nemeses on it and gives the report.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hearthline_sim.demo.broker import BrokerPlan, free_port
from hearthline_sim.demo.stack import Plan, Stack
from hearthline_sim.demo.trial import Trial, run_trial
from hearthline_sim.ledger import Ledger
from servers import Server, find_binary, influxd
from torture.certified import Certified
from torture.nemeses import Nemeses, Nemesis
from torture.network import CENTER_ADDRESS, Network
from torture.proxy import Proxy

PROCESSES = ("agent", "ingest", "web", "desk", "center-broker", "home-broker")


@dataclass
class Stage:
    """A started product. `processes`: what may be killed or frozen; `network` and the others: where asked for."""

    stack: Stack
    network: Network | None = None
    proxies: list[Proxy] = field(default_factory=list)
    influx: Server | None = None
    certified: Certified | None = None

    def __post_init__(self) -> None:
        self._held = {name: threading.Lock() for name in self.processes}
        self.line = threading.Lock()  # one nemesis at a time decides what the line loses

    @property
    def processes(self) -> tuple[str, ...]:
        return PROCESSES if self.influx is None else (*PROCESSES, "influxdb")

    @contextmanager
    def held(self, name: str) -> Iterator[bool]:
        """Whether nobody else torments this process just now; then nobody else does meanwhile."""
        free = self._held[name].acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                self._held[name].release()

    def kill(self, name: str) -> None:
        """`kill -9`."""
        if name == "influxdb" and self.influx is not None:
            self.influx.kill()
        else:
            self.stack.processes.kill(name)

    def restart(self, name: str) -> None:
        if name == "influxdb" and self.influx is not None:
            self.influx.start()
        else:
            self.stack.processes.restart(name)

    def send_signal(self, name: str, number: signal.Signals) -> None:
        pid = self.influx.pid if name == "influxdb" and self.influx is not None else self.stack.processes.pid(name)
        os.kill(pid, number)


@contextmanager
def stage(
    folder: Path,
    plan: Plan,
    *,
    network: bool = False,
    proxied: bool = False,
    influx: bool = False,
    certified: bool = False,
    seed: int = 0,
) -> Iterator[Stage]:
    """Start everything; stop everything. `certified`: the broker as the product keeps it, and TLS to it.

    A proxy reads MQTT, so with TLS there is one on the ingester's way alone.
    """
    with ExitStack() as after:
        net = after.enter_context(Network()) if network else None
        if net is not None:
            net.be_quick_in_asking_again()
            after.enter_context(net.inside(net.center))
        server = None
        if influx:
            server = after.enter_context(influxd(folder))
            plan = replace(plan, store_url=server.url, store_database="torture")
        everywhere = "0.0.0.0" if network else "127.0.0.1"  # the namespace is the test's own
        keeps = None
        if certified:
            keeps = Certified.made(folder, everywhere, CENTER_ADDRESS if network else "127.0.0.1")
            after.callback(keeps.close)
            brokers = (mosquitto_plan(folder, "home"), keeps.broker_plan)
            plan = replace(plan, brokers=brokers, **keeps.settings)
        else:
            brokers = (mosquitto_plan(folder, "home"), mosquitto_plan(folder, "center", everywhere))
            plan = replace(plan, brokers=brokers)
        if net is not None:
            uplink = plan.uplink or (CENTER_ADDRESS, brokers[1].port_v5)
            plan = replace(plan, uplink=uplink, enter_home=net.enter(net.home))
        proxies = []
        if proxied and certified:
            proxies = [after.enter_context(Proxy(brokers[1].port_v5, seed))]
            plan = replace(plan, ingest_port=proxies[0].port)
        elif proxied:
            proxies = [after.enter_context(Proxy(brokers[1].port_v5, seed + way, everywhere)) for way in (1, 2)]
            edge, ingest = proxies
            host = CENTER_ADDRESS if network else "127.0.0.1"
            plan = replace(plan, uplink=(host, edge.port), ingest_port=ingest.port)
        stack = Stack(folder, plan)
        after.callback(stack.stop)
        stack.start()
        yield Stage(stack, net, proxies, server, keeps)


def mosquitto_plan(folder: Path, name: str, address: str = "127.0.0.1") -> BrokerPlan:
    """A broker without persistence: what it had is gone with it."""
    port = free_port()
    config = folder / f"{name}.conf"
    config.write_text(
        f"listener {port} {address}\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
        "max_queued_messages 100000\nmax_inflight_messages 200\n",
        encoding="utf-8",
    )
    return BrokerPlan(name, [find_binary("mosquitto"), "-c", str(config)], port, port)


def play(on: Stage, seconds: float, presses: int, seed: int, nemeses: Sequence[Nemesis]) -> dict[str, Any]:
    """The report of a trial beside which the nemeses worked, with `deeds`: how often each did what to whom."""
    crew = Nemeses(on, nemeses, seed, seconds)
    report = run_trial(on.stack, Trial(seconds, presses, seed, crew), lambda _: None)
    crew.reraise()
    return {**report, "deeds": dict(sorted(Counter(deed.what for deed in crew.deeds).items()))}


def figures(report: dict[str, Any]) -> dict[str, Any]:
    """What is published of a report: numbers, not lists of names."""
    return {name: len(value) if isinstance(value, list) else value for name, value in report.items()}


def assert_nothing_lost_or_doubled(on: Stage, report: dict[str, Any], presses: int) -> None:
    """Every committed press is one event; every other is listed, was not comforted, and was pressed again."""
    assert report["faults"] == []
    assert report["presses_sent"] >= presses
    assert report["alarm_events"] + len(report["not_taken"]) == report["presses_sent"]
    assert_every_cry_was_heard(Ledger.load(on.stack.ledger_path))


def assert_every_cry_was_heard(ledger: Ledger) -> None:
    """Whoever was not told "received" pressed again, until one press of the cry was."""
    comforted = {
        (press.device, press.again_of or press.ordinal) for press in ledger.presses if press.received_event is not None
    }
    cries = {(press.device, press.again_of or press.ordinal) for press in ledger.presses}
    assert cries == comforted
