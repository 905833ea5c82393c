"""The nemeses: each does one kind of harm for a while. All end at `heal()`, which makes everything whole again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from simulation.gateway import Gateway

if TYPE_CHECKING:
    from simulation.world import World

Harm = Callable[["Nemesis"], None]
YEAR_S = 365 * 86400.0


class Nemesis:
    """Does harm by names of `FAULTS`; draws victims and lengths from the world's plan."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.trace.rng("nemesis")
        self.loop = asyncio.get_running_loop()
        self.healed = False
        self.storms = 0
        self.swaps = 0
        self._pending: list[asyncio.TimerHandle] = []

    def schedule(self, name: str, at: float) -> None:
        self._pending.append(self.loop.call_at(at, self._strike, name))

    def later(self, after_s: float, undo: Callable[..., None], *values: object) -> None:
        """What ends a harm; at the latest when all is healed."""
        self.loop.call_later(after_s, undo, *values)

    def _strike(self, name: str) -> None:
        self.world.trace.fault(name)
        HARMS[name](self)

    def victim(self) -> Gateway:
        return self.rng.choice(self.world.gateways)

    def heal(self) -> None:
        """Everything works again; what is broken mends itself from here."""
        self.healed = True
        for handle in self._pending:
            handle.cancel()
        world = self.world
        world.trace.note("fault", "all is healed")
        world.weather.refused.clear()
        world.weather.hanging.clear()
        world.weather.delay_s = world.plan.delay_s
        world.broker.refuses.clear()
        world.broker.start()
        world.center.database_away(False)
        world.center.fault.dies, world.center.fault.unsure = "", False
        world.center.store.unsure = False
        world.center.store.away = False
        world.center.start()
        assert world.center.ingester is not None
        world.center.ingester.events.dies_at_answer = False
        for gateway in world.gateways:
            gateway.disk.turn("whole", world.trace.now())
            gateway.disk.dies = ""
            gateway.local.start()
            gateway.start()

    # --- what several share ---

    def restart(self, gateway: Gateway, after_s: float, reboot: bool = False) -> None:
        def again() -> None:
            if gateway.alive:
                return
            if reboot:
                gateway.clock.reboot()
                self.lose_clock(gateway, self.rng.uniform(1, 40))
            gateway.start()

        self.later(after_s, again)

    def lose_clock(self, gateway: Gateway, for_s: float) -> None:
        """The clock runs free, right or years behind; then it is synchronised."""
        clock = gateway.clock
        clock.synced = False
        clock.error_s = self.rng.choice((0.0, -self.rng.uniform(1, 3) * YEAR_S, self.rng.uniform(-500, 100)))

        def synchronise() -> None:
            clock.synced, clock.error_s = True, self.rng.uniform(-0.02, 0.02)
            self.world.trace.note(gateway.id, "clock synchronised")

        self.later(for_s, synchronise)

    def whenever_dead(self, gateway: Gateway) -> None:
        """A process that dies at a line of its own is started again, as by systemd."""

        def look() -> None:
            if not gateway.alive:
                gateway.start()
            elif not self.healed:
                self.later(0.2, look)

        self.later(0.2, look)

    def whenever_ingester_dead(self) -> None:
        def look() -> None:
            if not self.world.center.alive:
                self.world.center.start()
            elif not self.healed:
                self.later(0.5, look)

        self.later(0.5, look)


# --- the gateway ---


def kill_agent(nemesis: Nemesis) -> None:
    gateway = nemesis.victim()
    gateway.kill()
    nemesis.restart(gateway, nemesis.rng.uniform(0.01, 6.0))


def stop_agent(nemesis: Nemesis) -> None:
    """SIGTERM, and started again."""
    gateway = nemesis.victim()
    if gateway.process is not None:
        gateway.process.stop()
    nemesis.later(nemesis.rng.uniform(1.5, 4), gateway.kill)
    nemesis.restart(gateway, nemesis.rng.uniform(4.5, 6))


def reboot_gateway(nemesis: Nemesis) -> None:
    gateway = nemesis.victim()
    gateway.kill()
    nemesis.restart(gateway, nemesis.rng.uniform(3, 15), reboot=True)


def die_at_commit(nemesis: Nemesis) -> None:
    """At its next commit; that may be of a press which the home's broker has handed over."""
    gateway, world = nemesis.victim(), nemesis.world
    gateway.disk.dies = nemesis.rng.choice(("before", "after"))
    if nemesis.rng.random() < 0.5:
        nemesis.storms += 1
        world.elders[world.gateways.index(gateway)].press_sos(100 * nemesis.storms)
    nemesis.whenever_dead(gateway)


def kill_between_telegrams(nemesis: Nemesis) -> None:
    """A press whose first telegram the dying agent takes, and whose copies the next one hears."""
    world, rng = nemesis.world, nemesis.rng
    index = rng.randrange(len(world.gateways))
    gateway, elder = world.gateways[index], world.elders[index]
    after_s = rng.uniform(0.004, 0.03)

    def strike() -> None:
        elder.on_press = lambda: None
        nemesis.later(after_s, gateway.kill)
        nemesis.later(after_s + 0.001, lambda: None if gateway.alive else gateway.start())

    elder.on_press = strike


def swap_card(nemesis: Nemesis) -> None:
    """A new SD card while the center cannot commit: what it says of the old one comes too late."""
    gateway, world = nemesis.victim(), nemesis.world
    elder = world.elders[world.gateways.index(gateway)]
    first = 10_000 + 10 * nemesis.swaps  # of buttons that nobody else presses: two presses within 1 s are one by rule
    nemesis.swaps += 1
    world.center.database_away(True)
    for number in range(3):
        nemesis.later(1.0, elder.press_sos, first + number)
    nemesis.later(4.0, gateway.kill)

    def swap() -> None:
        if not gateway.alive:
            gateway.new_card()
            gateway.start()
            for number in range(3):
                nemesis.later(1.0, elder.press_sos, first + 5 + number)
            if nemesis.rng.random() < 0.5:  # it hears and is not heard
                nemesis.later(0.9, world.broker.go_dumb, gateway.id, True, False)

    nemesis.later(5.0, swap)
    nemesis.later(nemesis.rng.uniform(8, 15), world.center.database_away, False)


def disk_stalls(nemesis: Nemesis) -> None:
    _disk(nemesis, "stalling")


def disk_fails(nemesis: Nemesis) -> None:
    _disk(nemesis, "failing")


def disk_full(nemesis: Nemesis) -> None:
    _disk(nemesis, "full")


def _disk(nemesis: Nemesis, mode: str) -> None:
    gateway = nemesis.victim()
    gateway.disk.turn(mode, nemesis.world.trace.now())  # type: ignore[arg-type]
    nemesis.later(nemesis.rng.uniform(2, 20), lambda: gateway.disk.turn("whole", nemesis.world.trace.now()))


def clock_lost(nemesis: Nemesis) -> None:
    nemesis.lose_clock(nemesis.victim(), nemesis.rng.uniform(2, 40))


def long_absence(nemesis: Nemesis) -> None:
    """Off for so long that its silence must be an alert."""
    gateway = nemesis.victim()
    gateway.kill()
    nemesis.world.absent(gateway, nemesis.rng.uniform(110, 160))


def reset_at_home(nemesis: Nemesis) -> None:
    nemesis.victim().reset_at_home()


def local_broker_restarts(nemesis: Nemesis) -> None:
    gateway = nemesis.victim()
    gateway.local.stop(loses_all=False)
    nemesis.later(nemesis.rng.uniform(0.1, 5), gateway.local.start)


def storm(nemesis: Nemesis) -> None:
    """Everybody in the corridor presses."""
    elder = nemesis.rng.choice(nemesis.world.elders)
    nemesis.storms += 1
    for number in range(nemesis.rng.choice((1, 3, 8, 45))):
        nemesis.later(nemesis.rng.uniform(0, 2), elder.press_sos, 100 * nemesis.storms + number)


# --- the network ---


def cut(nemesis: Nemesis) -> None:
    nemesis.world.broker.cut(nemesis.rng.choice(_clients(nemesis)))


def dumb(nemesis: Nemesis) -> None:
    up, down = nemesis.rng.choice(((True, True), (True, False), (False, True)))
    nemesis.world.broker.go_dumb(nemesis.rng.choice(_clients(nemesis)), up, down)


def out_of_reach(nemesis: Nemesis) -> None:
    client = nemesis.rng.choice(_clients(nemesis))
    weather = nemesis.world.weather
    held = nemesis.rng.choice((weather.refused, weather.hanging))
    held.add(client)
    nemesis.world.broker.cut(client)
    nemesis.later(nemesis.rng.uniform(1, 25), held.discard, client)


def slow(nemesis: Nemesis) -> None:
    weather = nemesis.world.weather
    weather.delay_s = (0.02, nemesis.rng.uniform(0.2, 1.2))
    nemesis.later(nemesis.rng.uniform(5, 20), setattr, weather, "delay_s", nemesis.world.plan.delay_s)


def broker_dies(nemesis: Nemesis) -> None:
    broker = nemesis.world.broker
    broker.stop(loses_all=nemesis.rng.random() < 0.6)
    nemesis.later(nemesis.rng.uniform(0.1, 15), broker.start)


def broker_refuses(nemesis: Nemesis) -> None:
    """An access list in its way: acknowledged and dropped."""
    topic = f"hearthline/v1/{nemesis.victim().id}/up"
    nemesis.world.broker.refuses.add(topic)
    nemesis.later(nemesis.rng.uniform(1, 15), nemesis.world.broker.refuses.discard, topic)


def _clients(nemesis: Nemesis) -> list[str]:
    return [*(gateway.id for gateway in nemesis.world.gateways), "ingest-event", "ingest-telemetry"]


# --- the center ---


def kill_ingester(nemesis: Nemesis) -> None:
    center = nemesis.world.center
    center.kill()
    nemesis.later(nemesis.rng.uniform(0.2, 10), center.start)


def ingester_dies_at_commit(nemesis: Nemesis) -> None:
    nemesis.world.center.fault.dies = nemesis.rng.choice(("before", "after"))
    nemesis.whenever_ingester_dead()


def ingester_dies_at_answer(nemesis: Nemesis) -> None:
    if nemesis.world.center.ingester is not None:
        nemesis.world.center.ingester.events.dies_at_answer = True
    nemesis.whenever_ingester_dead()


def database_away(nemesis: Nemesis) -> None:
    nemesis.world.center.database_away(True)
    nemesis.later(nemesis.rng.uniform(1, 20), nemesis.world.center.database_away, False)


def database_unsure(nemesis: Nemesis) -> None:
    nemesis.world.center.fault.unsure = True


def store_away(nemesis: Nemesis) -> None:
    store, plan = nemesis.world.center.store, nemesis.world.plan
    store.away = True

    def back() -> None:
        store.away = plan.store_away and not nemesis.healed

    nemesis.later(nemesis.rng.uniform(2, 30), back)


def store_unsure(nemesis: Nemesis) -> None:
    nemesis.world.center.store.unsure = True


FAULTS: dict[str, int] = {  # by how often
    "kill_agent": 5,
    "stop_agent": 1,
    "reboot_gateway": 3,
    "die_at_commit": 4,
    "kill_between_telegrams": 4,
    "swap_card": 2,
    "disk_stalls": 2,
    "disk_fails": 2,
    "disk_full": 2,
    "clock_lost": 2,
    "long_absence": 2,
    "reset_at_home": 1,
    "local_broker_restarts": 2,
    "storm": 4,
    "cut": 5,
    "dumb": 5,
    "out_of_reach": 3,
    "slow": 2,
    "broker_dies": 4,
    "broker_refuses": 3,
    "kill_ingester": 4,
    "ingester_dies_at_commit": 3,
    "ingester_dies_at_answer": 3,
    "database_away": 3,
    "database_unsure": 2,
    "store_away": 2,
    "store_unsure": 2,
}
HARMS: dict[str, Harm] = {name: globals()[name] for name in FAULTS}
