"""The life of an alert under every order of presses, cancellations and steps, and the desk against the same model.

The model is the transition table of a kind with what surrounds it: presses join the open alert of their key or raise a
new one, a service call that was scheduled is joined by none, and the home is told "accepted". Orders that lead to the
same world are tried once; that covers each of them.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from sqlalchemy import Row, select

from cloud_center import Cloud, TestGateway
from hearthline.clock import NS
from hearthline.model import EventType
from hearthline_cloud import schema
from hearthline_cloud.alerts.lifecycle import (
    CANCELLED_AT_HOME,
    LATCHED,
    Action,
    AlertKind,
    Case,
    Category,
    ImpossibleError,
    Plan,
    Refusal,
    State,
    Wish,
    act,
    allowed,
    outcomes,
    transitions,
)
from hearthline_cloud.desk import Desk

DEPTH = 7
DEVICES = ("pendant", "cord")
PEOPLE = ("mei", "jun")
ALERTS = 2  # of one home: what is resolved or scheduled, and what was raised after it
PLAN = Plan(Category.REPAIR, time.time_ns() + 30 * 86_400 * NS, "Zhang's workshop")


@dataclass(frozen=True)
class Pressed:
    """A device that was pressed: how often, whether the home was told of the latest press, and whether the device has
    been pressed for no other alert since."""

    device: str
    presses: int
    is_told: bool
    is_last: bool = True


@dataclass(frozen=True)
class Model:
    case: Case
    pressed: tuple[Pressed, ...] = ()
    latest: str = ""  # the device of the latest press: only that press can still be taken back
    is_cancelled: bool = False
    is_planned: bool = False  # once scheduled no press joins it


World = tuple[Model, ...]
"""The alerts of one kind in one home, the oldest first; at most one of them is open to presses."""


@dataclass(frozen=True)
class Press:
    device: str


@dataclass(frozen=True)
class Cancel:
    device: str


@dataclass(frozen=True)
class Do:
    alert: int
    wish: Wish


Event = Press | Cancel | Do


def wishes(kind: AlertKind) -> list[Wish]:
    made = [Wish(action, PEOPLE[0]) for action in (Action.ACKNOWLEDGE, Action.ATTEND, Action.ARRIVE)]
    made += [Wish(Action.HAND_OVER, PEOPLE[0], to=person) for person in PEOPLE]
    return [
        *made,
        Wish(Action.SCHEDULE, PEOPLE[0], plan=PLAN),
        Wish(Action.RESOLVE, PEOPLE[1], outcomes(kind)[0]),
        Wish(Action.REOPEN, PEOPLE[1], reason="she called again"),
    ]


def events(world: World, kind: AlertKind) -> list[Event]:
    presses: list[Event] = [Press(device) for device in DEVICES]
    cancels: list[Event] = [Cancel(device) for device in DEVICES]
    return presses + cancels + [Do(place, wish) for place in range(len(world)) for wish in wishes(kind)]


def is_open(model: Model) -> bool:
    return model.case.state is not State.RESOLVED


def takes_presses(model: Model) -> bool:
    return is_open(model) and not model.is_planned


def after(world: World, event: Event, kind: AlertKind) -> World:
    """The world after an event. Raises ImpossibleError."""
    match event:
        case Press(device):
            return press(world, device, kind)
        case Cancel(device):
            lasts = [{each.device for each in model.pressed if each.is_last} for model in world]
            places = [place for place, devices in enumerate(lasts) if device in devices]
            if not places or not is_open(world[places[-1]]) or len(world[places[-1]].pressed) > 1:
                return world  # a neighbour's press of the same alert is not taken back
            return put(world, places[-1], replace(world[places[-1]], is_cancelled=True))
        case Do(place, wish):
            model = world[place]
            others = [other for other in world if takes_presses(other)]
            if wish.action is Action.REOPEN and not is_open(model) and others and not model.is_planned:
                raise ImpossibleError(Refusal.ANOTHER_IS_OPEN, "another is open")
            step = act(model.case, wish)
            pressed = model.pressed
            if step.tells_home:  # of the gateway's latest press
                pressed = tuple(told(each) if each.device == model.latest else each for each in pressed)
            case, is_planned = Case(kind, step.state, step.holder), model.is_planned or wish.plan is not None
            return put(world, place, replace(model, case=case, pressed=pressed, is_planned=is_planned))


def press(world: World, device: str, kind: AlertKind) -> World:
    place = next((place for place, model in enumerate(world) if takes_presses(model)), len(world))
    models = tuple(replace(model, pressed=tuple(map(not_last(device), model.pressed))) for model in world)
    models = models if place < len(world) else (*models, Model(Case(kind, State.RAISED)))
    model = models[place]
    before = {each.device: each.presses for each in model.pressed}
    new = Pressed(device, before.get(device, 0) + 1, is_told=False)
    if model.case.state is not State.RAISED:
        new = told(new)
    others = [each for each in model.pressed if each.device != device]
    pressed = tuple(sorted([*others, new], key=lambda each: each.device))
    return put(models, place, replace(model, pressed=pressed, latest=device, is_cancelled=False))


def not_last(device: str) -> Callable[[Pressed], Pressed]:
    return lambda pressed: replace(pressed, is_last=False) if pressed.device == device else pressed


def told(pressed: Pressed) -> Pressed:
    assert not pressed.is_told, "the home is told twice of one press"
    return replace(pressed, is_told=True)


def put(world: World, place: int, model: Model) -> World:
    return (*world[:place], model, *world[place + 1 :])


def check(world: World) -> None:
    assert sum(map(takes_presses, world)) <= 1
    for model in world:
        state = model.case.state
        assert (Action.RESOLVE in allowed(state, model.case.kind)) == is_open(
            model
        )  # a person can always close it, at once
        assert (model.case.holder is None) == (state is State.RAISED)
        (latest,) = (each for each in model.pressed if each.device == model.latest)
        assert latest.is_told == (state is not State.RAISED)


def of_itself(model: Model) -> Model:
    """Without what other alerts of the home say about its devices."""
    return replace(model, pressed=tuple(replace(each, is_last=False) for each in model.pressed))


def count(model: Model) -> int:
    return sum(each.presses for each in model.pressed)


def check_step(before: World, event: Event, later: World) -> None:
    for old, new in zip(before, later, strict=False):
        acted = event.wish.action if isinstance(event, Do) and old is before[event.alert] else None
        if not is_open(old) and acted is not Action.REOPEN:
            assert of_itself(new) == of_itself(old), "nothing but reopening touches a closed alert"
        if acted is None:
            assert new.case == old.case, "nobody but a person moves an alert"
        if isinstance(event, Press) and old.is_planned:
            assert count(new) == count(old), "a scheduled call swallows no press"
        if is_open(old) and not is_open(new):
            assert acted is Action.RESOLVE
        if old.case.state is not State.RAISED:
            assert new.case.state is not State.RAISED, "who has accepted stays accepted"


@pytest.mark.parametrize("kind", sorted(LATCHED))
def test_every_order_up_to_seven_events_keeps_what_is_promised(kind: AlertKind) -> None:
    frontier: set[World] = {()}
    seen: set[World] = {()}
    refused, states = 0, set()
    for _ in range(DEPTH):
        following: set[World] = set()
        for world in frontier:
            for event in events(world, kind):
                reason, later = refusal_or_world(world, event, kind)
                refused += reason is not None
                if reason is not None or len(later) > ALERTS:
                    continue
                check(later)
                check_step(world, event, later)
                states |= {model.case.state for model in later}
                following.add(later)
        frontier = following - seen
        seen |= following
    assert states == {state for state, _ in transitions(kind)}
    assert len(seen) > 3000
    assert refused


@pytest.mark.parametrize("kind", sorted(LATCHED))
def test_from_every_state_a_person_reaches_every_other_but_raised(kind: AlertKind) -> None:
    """No dead state: also what is closed can be taken up again."""
    states = {state for state, _ in transitions(kind)}
    for start in states:
        reached, frontier = {start}, [Case(kind, start, None if start is State.RAISED else PEOPLE[0])]
        while frontier:
            case = frontier.pop()
            for wish in wishes(kind):
                try:
                    step = act(case, wish)
                except ImpossibleError:
                    continue
                if step.state not in reached:
                    reached.add(step.state)
                    frontier.append(Case(kind, step.state, step.holder))
        assert reached - {start} >= states - {State.RAISED, start}, start


# --- the desk and the ingester against the model ------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "kind"), [(seed, kind) for seed in range(12) for kind in sorted(LATCHED)])
def test_desk_and_ingester_do_what_the_model_does(cloud: Cloud, seed: int, kind: AlertKind) -> None:
    rng = random.Random(seed)
    with cloud.database.transaction() as connection:
        for name in PEOPLE:
            account = {"name": name, "password_hash": "", "role": "operator", "created_ns": time.time_ns()}
            connection.execute(schema.staff.insert().values(**account, center_wide=True))
    real = Real(cloud, TestGateway(f"gw-{seed}"), kind)
    world: World = ()
    last: dict[int, Wish] = {}
    for _ in range(25):
        event = rng.choice(events(world, kind))
        reason, later = refusal_or_world(world, event, kind)
        if reason is None:
            world = later
            real.do(event)
        elif isinstance(event, Do) and reason is Refusal.NOT_FROM_HERE and last.get(event.alert) == event.wish:
            real.do(event)  # one's own repeated click is answered as before
        else:
            with pytest.raises(ImpossibleError) as caught:
                real.do(event)
            assert caught.value.reason is reason
        if isinstance(event, Do) and reason is None:
            last[event.alert] = event.wish
        assert real.world() == world, event
    assert real.closings() == real.closed


def refusal_or_world(world: World, event: Event, kind: AlertKind) -> tuple[Refusal | None, World]:
    try:
        return None, after(world, event, kind)
    except ImpossibleError as error:
        return error.reason, world


class Real:
    """The alerts of one gateway in a database, moved through the ingester and the desk."""

    def __init__(self, cloud: Cloud, gateway: TestGateway, kind: AlertKind) -> None:
        self._role = kind.value
        self._cloud = cloud
        self._gateway = gateway
        self._desk = Desk(cloud.database, cloud.waker)
        self.closed = 0

    def do(self, event: Event) -> None:
        match event:
            case Press(device):
                self._cloud.take(self._gateway.message(self._gateway.press(self._role, device)))
            case Cancel(device):
                self._cloud.take(self._gateway.message(self._gateway.event(EventType.CANCEL, device)))
            case Do(place, wish):
                alert = self._alerts()[place]
                changed = self._desk.act(alert.id, wish, time.time_ns(), alert.version)
                self.closed += changed.state is State.RESOLVED and changed.version != alert.version

    def _alerts(self) -> list[Row[Any]]:
        return [row for row in self._cloud.rows(schema.alert) if row.gateway_id == self._gateway.id]

    def world(self) -> World:
        """What the database says, in the model's words; the home's commands are counted press by press."""
        told_ids = [row.body["event"] for row in self._cloud.rows(schema.command) if row.gateway_id == self._gateway.id]
        assert len(told_ids) == len(set(told_ids)), "the home is told twice of one press"
        alerts = self._alerts()
        ids = {row.id for row in alerts}
        last = {row.device_id: row.id for row in self._cloud.rows(schema.event) if row.alert_id in ids}
        return tuple(self._model(row, set(told_ids), set(last.values())) for row in alerts)

    def _model(self, row: Row[Any], told_ids: set[str], last: set[int]) -> Model:
        with self._cloud.database.reading() as connection:
            query = select(schema.event).where(schema.event.c.alert_id == row.id).order_by(schema.event.c.id)
            presses = connection.execute(query).all()
        assert len(presses) == row.presses
        latest = {press.device_id: press for press in presses}
        pressed = tuple(
            Pressed(
                device,
                sum(each.device_id == device for each in presses),
                press.event_id in told_ids,
                press.id in last,
            )
            for device, press in sorted(latest.items())
        )
        case = Case(AlertKind(row.kind), State(row.state), row.assigned_to)
        is_planned = row.category is not None
        return Model(case, pressed, presses[-1].device_id, row.cancelled_ns is not None, is_planned)

    def closings(self) -> int:
        rows = self._cloud.rows(schema.journal)
        mine = {row.id for row in self._alerts()}
        assert all(row.alert_id in mine for row in rows if row.kind == CANCELLED_AT_HOME and row.alert_id)
        return sum(row.kind == "resolved" and row.alert_id in mine for row in rows)
