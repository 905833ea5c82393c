"""One seed's world: who is there, what goes wrong and when; run it, heal it, and look whether all promises held."""

from __future__ import annotations

import asyncio
import shutil
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from simulation.center import Center, Site
from simulation.faults import FAULTS, Nemesis
from simulation.gateway import Gateway
from simulation.invariants import Monitor
from simulation.loop import JumpingLoop
from simulation.mutation import NONE, Mutation
from simulation.network import Broker, Weather
from simulation.people import Elder, Operator
from simulation.trace import Trace, Violation

T = TypeVar("T")

GATEWAYS = ("gw-1", "gw-2")
CALM_S = 5.0  # at the beginning, for everybody to connect
DRAIN_S = 100.0  # within which everything must have arrived when nothing is wrong any more
LINGER_S = 6.0  # what is looked at after that: the local output is off, nothing moves


@dataclass(frozen=True, slots=True)
class Plan:
    """What a seed draws for the whole run."""

    gateways: tuple[str, ...]
    chaos_s: float
    faults: int
    delay_s: tuple[float, float]
    store_away: bool  # the whole time
    telemetry_kb: int
    free_at_start: bool

    @classmethod
    def drawn(cls, rng: Random) -> Plan:
        slow = rng.choice((0.002, 0.02, 0.02, 0.1, 0.3))
        return cls(
            gateways=GATEWAYS[: rng.choice((1, 1, 2))],
            chaos_s=rng.uniform(25, 90),
            faults=rng.randint(0, 7),
            delay_s=(0.0005, slow),
            store_away=rng.random() < 0.15,
            telemetry_kb=rng.choice((1, 64, 64)),
            free_at_start=rng.random() < 0.3,
        )


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one seed. `violation` empty: every promise held."""

    seed: int
    violation: str
    digest: str
    virtual_s: float
    presses: int
    committed: int
    faults: int
    cpu_s: float
    lines: tuple[str, ...] = ()


class World:
    """Everything of one run."""

    def __init__(self, trace: Trace, site: Site, mutation: Mutation) -> None:
        self.trace = trace
        self.rng = trace.rng("plan")
        self.plan = plan = Plan.drawn(self.rng)
        self.weather = Weather(plan.delay_s)
        self.broker = Broker(trace, "broker", self.weather, trace.rng("broker"))
        self.center = Center(trace, site, self.broker, plan.gateways)
        self.center.store.away = plan.store_away
        self.center.on_ingester = mutation.on_ingester
        self.gateways = [self._gateway(name, site.folder, mutation) for name in plan.gateways]
        self.elders = [Elder(trace, gateway) for gateway in self.gateways]
        self.monitor = Monitor(trace, self.center, self.gateways, self.elders)
        self.nemesis = Nemesis(self)
        self.focus = mutation.focus
        self._absent_until = 0.0

    def _gateway(self, name: str, folder: Path, mutation: Mutation) -> Gateway:
        place = folder / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        gateway = Gateway(self.trace, name, place, self.broker, self.center, self.plan.telemetry_kb)
        gateway.on_agent = mutation.on_agent
        return gateway

    def absent(self, gateway: Gateway, for_s: float) -> None:
        """A gateway stays away, also beyond the planned end."""
        until = self._absent_until = max(self._absent_until, self.trace.now() + for_s)
        self.nemesis.later(until - self.trace.now(), gateway.start)

    async def run(self) -> None:
        """Raises Violation."""
        tasks = [asyncio.create_task(self.center.supervise()), asyncio.create_task(self.monitor.run())]
        tasks.append(asyncio.create_task(Operator(self.trace, self.center).work()))
        self.center.start()
        for gateway, elder in zip(self.gateways, self.elders, strict=True):
            if self.plan.free_at_start:
                self.nemesis.lose_clock(gateway, self.rng.uniform(5, 60))
            gateway.start()
            wishes = sorted(self.rng.uniform(CALM_S, self.plan.chaos_s) for _ in range(self.rng.randint(1, 4)))
            tasks.append(asyncio.create_task(elder.live(wishes)))
        tasks.append(asyncio.create_task(self._live()))
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        while not any(task is tasks[-1] or task.exception() for task in done):
            done, _ = await asyncio.wait([t for t in tasks if not t.done()], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()

    async def _live(self) -> None:
        names = self.focus or tuple(name for name, weight in FAULTS.items() for _ in range(weight))
        times = sorted(self.rng.uniform(CALM_S, self.plan.chaos_s) for _ in range(self.plan.faults))
        for at in times:
            self.nemesis.schedule(self.rng.choice(names), at)
        await asyncio.sleep(self.plan.chaos_s)
        await asyncio.sleep(max(self._absent_until - self.trace.now(), 0.0))
        self.nemesis.heal()
        healed = self.trace.now()
        while not self.monitor.is_drained():
            if self.trace.now() - healed > DRAIN_S:
                raise Violation(f"not drained {DRAIN_S:g} s after the last fault: {self.monitor.owed()}")
            await asyncio.sleep(1.0)
        drained = self.trace.now()
        await asyncio.sleep(LINGER_S)
        self.monitor.check_at_the_end(drained)


def run_seed(seed: int, site: Site, mutation: Mutation = NONE, keep: bool = False) -> Result:
    """One whole run. What it raises is a promise broken, or a bug."""
    began = time.process_time()
    loop = JumpingLoop()
    trace = loop.run_until_complete(_made(Trace, seed, keep))
    world = loop.run_until_complete(_made(World, trace, site, mutation))
    violation = ""
    try:
        loop.run_until_complete(world.run())
    except Violation as broken:
        violation = str(broken)
    except Exception:  # noqa: BLE001 - a bug of product or simulation is a finding of this seed like any other
        violation = traceback.format_exc()
    virtual_s = loop.time()
    _end(loop, world)
    return Result(
        seed,
        violation,
        trace.digest,
        virtual_s,
        sum(len(elder.presses) for elder in world.elders),
        sum(len(gateway.events) for gateway in world.gateways),
        trace.faults,
        time.process_time() - began,
        tuple(trace.lines or ()),
    )


async def _made(make: Callable[..., T], *arguments: Any) -> T:
    """Inside the loop, which what is made wants to know."""
    return make(*arguments)


def _end(loop: JumpingLoop, world: World) -> None:
    """The last of everything; what it does is nobody's business any more."""
    for gateway in world.gateways:
        gateway.kill()
    world.center.kill()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    world.center.close()
    loop.close()
