"""The alert desk through months on a virtual clock: the product's lanes, desk, escalation, messages, supervision.

Two desks, an ingester and operators take turns over one real SQLite file. Between any two transactions of one, another
may run; a kill is a `Crash` before a statement, before or after a commit, or beside the act of sending, and whatever
the process held in memory is gone. The clock steps, channels refuse, hang and lose results. Rounds in which nothing is
due are jumped over: the next one is where the database says that something is.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection, and_, event, func, insert, or_, select, update

from hearthline import wire
from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline.model import EventType
from hearthline_cloud import escalating, schema
from hearthline_cloud.alerts import orders
from hearthline_cloud.alerts.escalation import SHIPPED
from hearthline_cloud.alerts.lifecycle import Action, AlertKind, Category, Plan, State, Wish, allowed, outcomes
from hearthline_cloud.alerts.orders import OrderAction, OrderKind, OrderState, OrderWish
from hearthline_cloud.config import ChannelConfig
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.desk import Desk, beat
from hearthline_cloud.ingest.event_lane import EventLane
from hearthline_cloud.ingest.session import Message as MqttMessage
from hearthline_cloud.notify.channels import Opened
from hearthline_cloud.notify.port import Message, Result
from hearthline_cloud.notify.sending import Worker
from hearthline_cloud.order_desk import OrderDesk
from hearthline_cloud.ordering import follow_orders, volunteer_actor
from hearthline_cloud.supervising import Supervisor
from hearthline_cloud.wake import Waker
from personal_rows import give_key, put, with_key
from simulation.process import Crash

DAYS = 3
T0 = 1_800_000_000 * NS
DAY_S, HOUR_S = 86_400.0, 3600.0
LEFT_ALONE_S = 1.5 * HOUR_S
STAFF = ("mei", "jun")
GATEWAYS = ("gw-1", "gw-2")
VOLUNTEERS = ("v-1", "v-2", "v-3")
_ROUNDS = 400  # of one desk until nothing is left to do; more is a round without an end
REFUSED, TIMEOUT, LOST = "refused for good", "no answer", "answer lost"


class BrokenPromiseError(BaseException):
    """What no order of events may lead to; nothing of the product that keeps an error from the others holds it back."""


@dataclass(slots=True)
class Told:
    """One delivery. `step`: which turn of a worker made it."""

    at_s: float
    key: str
    alert: int


class Phone:
    """A channel that works, refuses, hangs, or delivers and loses the answer; `world` may kill whoever sends."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self.name = name
        self.mood = "works"
        self.until_s = 0.0

    def send(self, message: Message) -> Result:
        world = self._world
        world.point()
        if world.now_s > self.until_s:
            self.mood = "works"
        if self.mood == "refuses":
            return Result(False, REFUSED)
        if self.mood == "hangs":
            return Result(False, TIMEOUT, retry=True)
        world.delivered(message)
        world.point()
        if self.mood == "loses" and world.rng.random() < 0.5:
            world.excused.add(message.key)
            return Result(False, LOST, retry=True)
        return Result(True, "ok")


class WatchedDatabase(Database):
    """The one engine as a process sees it: others run between its transactions, and it may end around a commit."""

    def __init__(self, database: Database, world: World) -> None:
        self.url, self.engine = database.url, database.engine
        self._world = world

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        self._world.others()
        with super().transaction() as connection:
            yield connection
            self._world.point()
        self._world.point()


class DeskProcess:
    """What the role `desk` does in its threads, one turn at a time."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self.name = name
        self.alive_from_s = 0.0
        self.started = 0
        self.start()

    def start(self) -> None:
        world = self._world
        self.started += 1
        self.database = WatchedDatabase(world.database, world)
        self.workers = []
        for phone in world.phones.values():
            config = ChannelConfig(name=phone.name, kind="webhook", trusted=phone.name == "family")
            opened = Opened(replace_contacts(config), phone)
            self.workers.append(Worker(self.database, world.waker, opened, threading.Event(), world.wall_ns))
        self.supervisor = Supervisor(self.database, world.waker, world.wall_ns(), world.mono_ns())

    def turn(self) -> None:
        world = self._world
        for _ in range(_ROUNDS):
            changed = escalating.escalate_once(self.database, SHIPPED, world.reaches, world.wall_ns())
            changed += follow_orders(self.database, world.reaches, world.wall_ns())
            if not changed:
                break
        else:
            raise BrokenPromiseError("a round has no end")
        for worker in self.workers:
            for _ in range(_ROUNDS):
                world.turn_began += 1
                if not worker.send_one():
                    break
                world.in_act = None
        if world.rng.random() < 0.2:
            world.heard()
            self.supervisor.round(world.wall_ns(), world.mono_ns())


def replace_contacts(config: ChannelConfig) -> ChannelConfig:
    return ChannelConfig(name=config.name, kind=config.kind, trusted=config.trusted, contacts=config.name == "family")


_TIMER_SET = and_(schema.escalation.c.alert_id == schema.alert.c.id, schema.escalation.c.fired_ns.is_(None))
_BEHIND = (  # no timer, or one of an earlier state
    select(schema.alert.c.id)
    .outerjoin(schema.escalation, _TIMER_SET)
    .where(
        schema.alert.c.state != State.RESOLVED,
        or_(schema.escalation.c.id.is_(None), schema.escalation.c.version != schema.alert.c.version),
    )
    .limit(1)
)


@dataclass
class World:
    """One seed. `kills`, `presses` and the rest are counted for the report."""

    database: Database
    waker: Waker
    rng: Random
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now_s, self.offset_ns = 0.0, T0
        self.faults_weight, self.slowness = self.rng.choice(((4, 0.03), (12, 0.03), (12, 0.3)))  # what a seed is like
        self.fuse: int | None = None  # points until the process that runs is killed
        self.depth = 0
        self.is_busy = False
        self.is_left_alone = False
        self.calm = False
        self.excused: set[str] = set()
        self.told: list[Told] = []
        self.tellings: Counter[str] = Counter()
        self.in_act: str | None = None
        self.turn_began = 0
        self.closed_turn: dict[int, int] = {}
        self.journalled = 0
        self.last_s: dict[int, tuple[float, str]] = {}  # of each alert: what happened last, and when
        self.down_s: list[tuple[float, float]] = []  # when no desk lived
        self.back_s: list[float] = []  # when the clock was set back
        self.seq = 0
        self.phones = {name: Phone(self, name) for name in ("duty", "family")}
        opened = [Opened(replace_contacts(ChannelConfig(name=n, kind="webhook")), p) for n, p in self.phones.items()]
        self.reaches = tuple(each.reach for each in opened)
        self.web = WatchedDatabase(self.database, self)
        self.desk = Desk(self.web, self.waker)
        self.orders = OrderDesk(self.web, self.waker)
        self.ingester = EventLane(self.web, self.waker, threading.Event(), self.wall_ns)
        self.desks = [DeskProcess(self, "desk-a"), DeskProcess(self, "desk-b")]

    # --- time and faults ---

    def wall_ns(self) -> int:
        return self.offset_ns + round(self.now_s * NS)

    def mono_ns(self) -> int:
        return round(self.now_s * NS)

    def note(self, text: str) -> None:
        self.lines.append(f"{self.now_s:14.3f} {text}")

    def point(self) -> None:
        """A place where the process that runs may end."""
        if self.fuse is not None and self.depth:
            self.fuse -= 1
            if self.fuse <= 0:
                self.fuse = None
                raise Crash

    def others(self) -> None:
        """Before a transaction of one process another may have its turn."""
        if self.calm or self.depth != 1 or self.rng.random() > 0.1:
            return
        fuse, self.fuse = self.fuse, None
        in_act, self.in_act = self.in_act, None
        what = self.rng.choices((self.a_desk, self.an_act, self.a_press), (40, 4, 1))[0]
        what()
        self.fuse, self.in_act = fuse, in_act

    def run(self, name: str, turn: Callable[[], Any]) -> bool:
        """One process at work; False when it was killed."""
        if not self.calm and self.rng.random() < 0.05:
            self.fuse = self.rng.randint(1, 40)
        self.depth += 1
        try:
            turn()
            return True
        except Crash:
            self.counts["kills"] += 1
            self.note(f"{name} killed")
            if self.in_act is not None:
                self.excused.add(self.in_act)
            return False
        finally:
            self.depth -= 1
            self.fuse = None
            self.in_act = None

    def delivered(self, message: Message) -> None:
        alert = int(message.facts["alert"])
        self.in_act = message.key
        self.told.append(Told(self.now_s, message.key, alert))
        self.tellings[message.key] += 1
        self.counts["messages"] += 1
        if self.tellings[message.key] > 1:
            self.counts["told again"] += 1
            if message.key not in self.excused:
                raise BrokenPromiseError(f"{message.key} was sent twice, and nobody died or lost an answer between")
        if self._is_closed_since_a_turn(alert):
            self.read_journal()  # somebody may have reopened it within this very turn
        if self._is_closed_since_a_turn(alert):
            raise BrokenPromiseError(f"{message.key} was sent after alert {alert} was closed")

    def _is_closed_since_a_turn(self, alert: int) -> bool:
        return self.closed_turn.get(alert, self.turn_began) < self.turn_began

    # --- who acts ---

    def a_desk(self) -> None:
        living = [desk for desk in self.desks if desk.alive_from_s <= self.now_s]
        if not living:
            return
        desk = self.rng.choice(living)
        if not self.run(desk.name, desk.turn):
            away_s = self.rng.choice((0.5, 5.0, 60.0, self.rng.uniform(0, 4 * HOUR_S)))
            desk.alive_from_s = self.now_s + away_s
            desk.start()
            self._note_down()

    def _note_down(self) -> None:
        first = min(desk.alive_from_s for desk in self.desks)
        if first > self.now_s:
            self.down_s.append((self.now_s, first))

    def a_press(self) -> None:
        rng = self.rng
        self.seq += 1
        gateway = rng.choice(GATEWAYS)
        role = "service" if rng.random() < 0.35 else "emergency"
        data = {"role": role}
        envelope = wire.Envelope("outbox-1", self.seq, "boot-1", True, self.mono_ns())
        source, device = f"hearthline/{gateway}", f"button:{role}"
        press = wire.Event(f"press-{self.seq}", source, EventType.ALARM, device, self.wall_ns(), data, envelope)
        payload = MqttMessage(wire.topic(gateway, wire.UP_EVENT), wire.encode_event(press), False, 1, 1)
        self.counts["presses"] += 1
        self.note(f"{gateway} {role} press")
        while not self.run("ingester", lambda: self.ingester.commit([payload])):
            continue  # the edge repeats it until it is acknowledged
        if rng.random() < 0.1:
            self.run("ingester", lambda: self.ingester.commit([payload]))  # the acknowledgement was lost

    def heard(self) -> None:
        """Mostly the ingester lives and the gateways are heard."""
        with self.database.transaction() as connection:
            if self.calm or self.rng.random() < 0.95:
                beat(connection, "ingest", self.wall_ns(), {"broker": True, "store": True})
            table = schema.gateway
            for gateway in GATEWAYS:
                if self.calm or self.rng.random() < 0.9:
                    seen = {"last_seen_ns": self.wall_ns(), "state": "online"}
                    connection.execute(update(table).where(table.c.id == gateway).values(**seen))

    def an_act(self) -> None:
        rng = self.rng
        if rng.random() < 0.25 and self._an_order_is_followed():
            return
        with self.database.reading() as connection:
            rows = connection.execute(select(schema.alert).order_by(schema.alert.c.id.desc()).limit(30)).all()
        waiting = [row for row in rows if row.state not in (State.RESOLVED, State.SCHEDULED)]
        if not rows:
            return
        row = rng.choice(waiting if waiting and rng.random() < 0.85 else rows)
        kind = AlertKind(row.kind)
        actions = allowed(State(row.state), kind) if rng.random() < 0.9 else list(Action)
        if not actions:
            return
        action = Action.RESOLVE if Action.RESOLVE in actions and rng.random() < 0.35 else rng.choice(actions)
        wish = self._wish(action, kind)
        version = rng.choice((None, row.version, row.version, max(1, row.version - 1)))
        self.note(f"{wish.actor} {wish.action} of {row.id}")
        for _ in range(2):
            try:
                if self.run("web", lambda: self.desk.act(row.id, wish, self.wall_ns(), version)):
                    return
            except RefusedError:
                self.counts["refused acts"] += 1
                return

    def _an_order_is_followed(self) -> bool:
        """Somebody does something with a work order; False where there is none."""
        rng, table = self.rng, schema.work_order
        with self.database.reading() as connection:
            is_open = table.c.state.in_(orders.OPEN)
            rows = connection.execute(select(table).where(is_open).order_by(table.c.id.desc()).limit(10)).all()
        if not rows:
            return False
        row = rng.choice(rows)
        if row.volunteer_id is not None and rng.random() < 0.3:
            self.run("web", lambda: self.orders.open(row.id, self.wall_ns()))
            return True
        kind = OrderKind(row.kind)
        action = rng.choice(orders.allowed(kind, OrderState(row.state)))
        wish = OrderWish(action, rng.choice(orders.outcomes(kind)) if action is OrderAction.REPORT else None)
        actor = rng.choice(STAFF) if row.volunteer_id is None else volunteer_actor(row.volunteer_id)
        self.note(f"{actor} {action} of order {row.id}")
        self.counts["order acts"] += 1
        for _ in range(2):
            try:
                if self.run("web", lambda: self.orders.act(row.id, wish, actor, self.wall_ns())):
                    break
            except RefusedError:
                self.counts["refused acts"] += 1
                break
        return True

    def _wish(self, action: Action, kind: AlertKind) -> Wish:
        rng, actor = self.rng, self.rng.choice(STAFF)
        match action:
            case Action.RESOLVE:
                return Wish(action, actor, rng.choice(outcomes(kind)))
            case Action.HAND_OVER:
                return Wish(action, actor, to=rng.choice(STAFF))
            case Action.REOPEN:
                return Wish(action, actor, reason="again")
            case Action.SCHEDULE:
                due_ns = self.wall_ns() + round(rng.uniform(0, 4 * DAY_S) * NS)
                return Wish(action, actor, plan=Plan(rng.choice(list(Category)[1:]), due_ns))
        return Wish(action, actor)

    def a_fault(self) -> None:
        rng = self.rng
        if rng.random() < 0.6:
            phone = rng.choice(list(self.phones.values()))
            phone.mood = rng.choice(("refuses", "hangs", "loses"))
            phone.until_s = self.now_s + rng.uniform(1, 5400)
            return
        step_s = rng.choice((-20.0, -200.0, -HOUR_S, -3 * DAY_S, 20.0, HOUR_S, 3 * DAY_S))
        self.offset_ns += round(step_s * NS)
        self.counts["clock steps"] += 1
        self.note(f"the clock steps by {step_s:g} s")
        self.is_left_alone = rng.random() < 0.5  # what people do would hide a timer that was lost
        if step_s < 0:
            self.back_s.append(self.now_s)

    # --- the journal as it comes ---

    def read_journal(self) -> None:
        table = schema.journal
        with self.database.reading() as connection:
            query = select(table.c.id, table.c.kind, table.c.alert_id).where(table.c.id > self.journalled)
            rows = connection.execute(query.order_by(table.c.id)).all()
        for row in rows:
            self.journalled = row.id
            if row.alert_id is None:
                continue
            if row.kind in ("resolved", "restored"):
                self.closed_turn[row.alert_id] = self.turn_began
            elif row.kind == "reopened":
                self.closed_turn.pop(row.alert_id, None)
            if row.kind not in ("notified", "not-notified", "note", "work-order", "joined"):
                self.last_s[row.alert_id] = (self.now_s, row.kind)

    def next_due_s(self) -> float:
        """When something is due by the database, in this world's time; at once what a desk's next round would take up.

        An act amid a turn is of the turn's own instant here, and no later look could tell it from one before.
        """
        with self.database.reading() as connection:
            if connection.execute(_BEHIND).first() is not None:
                return self.now_s
            dues = [
                connection.execute(select(func.min(column)).where(condition)).scalar()
                for column, condition in (
                    (schema.escalation.c.due_ns, schema.escalation.c.fired_ns.is_(None)),
                    (schema.notification.c.next_try_ns, schema.notification.c.state == "queued"),
                    (schema.work_order.c.due_ns, schema.work_order.c.due_ns.is_not(None)),
                )
            ]
        known = [due for due in dues if due is not None]
        return (min(known) - self.offset_ns) / NS if known else float("inf")

    # --- the run ---

    def live(self, until_s: float, check: Callable[[World], None]) -> None:
        """Until then: what people and faults do by chance, and the desks whenever something is due or has changed."""
        while self.now_s < until_s:
            following_s = self.now_s + self.rng.expovariate(1 / self._pause_s())
            self.advance(min(following_s, until_s))
            check(self)
            weights = (1, 36, self.faults_weight) if self.is_busy else (6, 2, 2)
            what = self.rng.choices((self.a_press, self.an_act, self.a_fault), weights)[0]
            what()
            self.read_journal()

    def _pause_s(self) -> float:
        """People are quicker while somebody waits for them."""
        with self.database.reading() as connection:
            waiting = (schema.alert.c.state != State.RESOLVED) & (schema.alert.c.state != State.SCHEDULED)
            self.is_busy = connection.execute(select(schema.alert.c.id).where(waiting).limit(1)).first() is not None
        if self.is_busy:
            is_left_alone, self.is_left_alone = self.is_left_alone, False
            if is_left_alone:
                return LEFT_ALONE_S
            return LEFT_ALONE_S if self.rng.random() < self.slowness else 240.0
        return 12 * HOUR_S

    def advance(self, to_s: float) -> None:
        """Let the desks have their rounds up to then."""
        self.round_of_all()
        for _ in range(20_000):
            due_s = max(self.next_due_s(), self.now_s) + self.rng.uniform(0.05, 1.0)
            alive_s = min(desk.alive_from_s for desk in self.desks)
            if alive_s > self.now_s:  # a desk that comes back looks at once: a clock may have been set back meanwhile
                due_s = alive_s + 0.01
            if due_s >= to_s:
                break
            self.now_s = due_s
            self.round_of_all()
        else:
            raise BrokenPromiseError("the desks find no rest")
        self.now_s = to_s
        self.round_of_all()

    def round_of_all(self) -> None:
        self.a_desk()
        self.read_journal()
        if self.rng.random() < 0.3:
            self.a_desk()
            self.read_journal()

    def heal(self) -> None:
        """Every fault ends, both desks live; then two hours in which only the desks work."""
        self.calm = True
        for phone in self.phones.values():
            phone.mood = "works"
        for desk in self.desks:
            desk.alive_from_s = self.now_s
        self.advance(self.now_s + 2 * HOUR_S)


class Site:
    """A folder with one migrated and populated database, copied for each seed; the engine stays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "hearthline.db"
        template = Database(sqlite_url(folder / "template.db"))
        template.migrate()
        with_key(template, folder)
        with template.transaction() as connection:
            _populate(connection)
        template.close()
        self._bytes = (folder / "template.db").read_bytes()
        self.database = Database(sqlite_url(self.path))
        give_key(self.database, folder)
        self.waker = Waker(folder)
        self.world: World | None = None
        event.listen(self.database.engine, "before_cursor_execute", self._before)

    def _before(self, *_: object) -> None:
        if self.world is not None:
            self.world.point()

    def fresh(self, seed: int) -> World:
        self.world = None
        self.database.engine.dispose()
        for end in ("-wal", "-shm"):
            self.path.with_name(f"{self.path.name}{end}").unlink(missing_ok=True)
        self.path.write_bytes(self._bytes)
        self.world = World(self.database, self.waker, Random(seed))
        return self.world


def _populate(connection: Connection) -> None:
    connection.execute(insert(schema.community).values(id="com-1", name="East"))
    for number, gateway in enumerate(GATEWAYS):
        home = f"home-{number}"
        put(connection, schema.home, id=home, community_id="com-1", name=home)
        contacts = [{"name": "Li Na", "relation": "", "phone": f"+86{number}"}]
        values = {"id": f"res-{number}", "home_id": home, "name": "Li", "contacts": contacts, "phone": f"+8610{number}"}
        put(connection, schema.resident, **values)
        connection.execute(insert(schema.gateway).values(id=gateway, home_id=home, state="online", last_seen_ns=T0))
    for place, volunteer in enumerate(VOLUNTEERS):
        who = {"id": volunteer, "community_id": "com-1", "name": volunteer, "phone": f"+8620{place}"}
        put(connection, schema.volunteer, **who)
        for number in range(len(GATEWAYS)):
            paired = {"home_id": f"home-{number}", "place": place, "volunteer_id": volunteer}
            connection.execute(insert(schema.pairing).values(**paired))
    for name in STAFF:
        account = {"name": name, "password_hash": "", "role": "operator", "created_ns": T0, "center_wide": True}
        connection.execute(insert(schema.staff).values(**account))
