"""Mistakes planted into the product's objects, to see whether the simulation finds them. The product has no option."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from hearthline import wire
from hearthline.clock import Stamp
from hearthline.model import EventType, Lane
from hearthline_cloud.ingest.events import Outcome
from hearthline_cloud.ingest.session import Message
from hearthline_edge.agent import Agent
from hearthline_edge.outbox import EventRow
from simulation.center import Ingester


def _nothing(_: object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Mutation:
    """`on_agent`, `on_ingester`: called with each one made, before it runs.

    `focus`: the faults that a run with this mistake draws from, so that few seeds find it; none: all faults.
    """

    name: str
    focus: tuple[str, ...] = ()
    on_agent: Callable[[Any], None] = _nothing
    on_ingester: Callable[[Any], None] = _nothing


def removed_before_acknowledgement(agent: Agent) -> None:
    """A PUBACK is taken for custody."""
    uplink, publish = agent._uplink, agent._uplink._publish

    async def mistaken(client: Any, leaf: str, payload: bytes, timeout_s: float) -> None:
        await publish(client, leaf, payload, timeout_s)
        envelope = wire.read_envelope(Lane.EVENT, payload) if leaf == wire.UP_EVENT else None
        if envelope is not None:
            seq = envelope[1]
            await agent._custody.submit(lambda ob: ob.delete(Lane.EVENT, [(seq, seq)]))

    uplink._publish = mistaken  # type: ignore[method-assign]


def received_at_puback(agent: Agent) -> None:
    """The home is told when the broker has it."""
    uplink, publish = agent._uplink, agent._uplink._publish

    async def mistaken(client: Any, leaf: str, payload: bytes, timeout_s: float) -> None:
        await publish(client, leaf, payload, timeout_s)
        envelope = wire.read_envelope(Lane.EVENT, payload) if leaf == wire.UP_EVENT else None
        if envelope is not None:
            seq = envelope[1]
            agent._home.received(await agent._custody.submit(lambda ob: ob.events_in([(seq, seq)])))

    uplink._publish = mistaken  # type: ignore[method-assign]


def wake_up_missed(agent: Agent) -> None:
    """What is new waits for the next look."""
    agent._uplink.woken = lambda alarm=False: None  # type: ignore[method-assign]


def suppression_not_committed(agent: Agent) -> None:
    """What suppresses a press's repeats is in memory alone."""
    outbox = agent._custody.outbox
    kept: dict[tuple[str, str], tuple[bytes, bytes]] = {}

    def keep(device: str, button: str, state: bytes, telegram: bytes | None = None) -> None:
        kept[device, button] = (state, telegram if telegram is not None else kept[device, button][1])

    def states(device: str | None = None) -> list[tuple[str, str, bytes]]:
        return [(d, b, state) for (d, b), (state, _) in kept.items() if device in (None, d)]

    outbox.set_press_state = keep  # type: ignore[method-assign]
    outbox.press_states = states  # type: ignore[method-assign]
    outbox.press_state = lambda device, button: kept.get((device, button))  # type: ignore[method-assign]


def another_id_when_repeated(agent: Agent) -> None:
    """The id of an event is made when it is sent."""
    departures, payload = agent._uplink._departures, agent._uplink._departures._payload
    sent: dict[str, int] = {}

    def mistaken(outbox: str, row: EventRow, moment: Stamp, age_s: float) -> bytes:
        sent[row.id] = times = sent.get(row.id, -1) + 1
        return payload(outbox, replace(row, id=f"{row.id}-{times}") if times else row, moment, age_s)

    departures._payload = mistaken  # type: ignore[method-assign]


def foreign_acknowledgement_honoured(agent: Agent) -> None:
    """Nobody asks whose numbers an acknowledgement names."""
    uplink, acknowledged = agent._uplink, agent._uplink._acknowledged

    async def mistaken(ack: wire.Ack) -> None:
        await acknowledged(msgspec.structs.replace(ack, outbox=agent._custody.outbox.id))

    uplink._acknowledged = mistaken  # type: ignore[method-assign]


def local_message_acknowledged_at_once(agent: Agent) -> None:
    """The home's broker is told that a message is taken before it is committed."""
    for session in agent._sessions:
        hand_on = session._on_message

        def mistaken(message: Any, ticket: Any, session: Any = session, hand_on: Any = hand_on) -> None:
            if ticket is not None:
                session.acknowledge([ticket])
            hand_on(message, ticket)

        session._on_message = mistaken


def local_output_forgets(agent: Agent) -> None:
    """After a restart nothing is pending."""
    outbox, began = agent._custody.outbox, agent._clock.now()
    sounding = outbox.sounding_alarms

    def mistaken(limit: int) -> list[tuple[str, Stamp]]:
        return [
            (key, stamp)
            for key, stamp in sounding(limit)
            if stamp.boot == began.boot and stamp.mono_ns >= began.mono_ns
        ]

    outbox.sounding_alarms = mistaken  # type: ignore[method-assign]


def free_clock_called_right(agent: Agent) -> None:
    """Whatever the clock says is sent as the time."""
    outbox = agent._custody.outbox
    outbox.true_time = lambda stamp, now: replace(stamp, synced=True)  # type: ignore[method-assign]


def pack_told_with_two_times(agent: Agent) -> None:
    """A pack told with a free clock is told again with the right one."""
    agent._custody.outbox.counters = dict  # type: ignore[method-assign]


def accepted_without_a_person(agent: Agent) -> None:
    """The home is told that a person has accepted with every "received"."""
    home, uplink, received = agent._home, agent._uplink, agent._home.received

    def mistaken(rows: list[EventRow]) -> None:
        received(rows)
        for row in rows:
            if row.type == EventType.ALARM:
                agent._custody._loop.create_task(home.accepted(row.id))

    uplink._ears = replace(uplink._ears, received=mistaken)


def one_lane(ingester: Ingester) -> None:
    """Events and telemetry share a session and its worker."""
    ingester.events._topics += ingester.telemetry._topics
    ingester.telemetry._topics.clear()
    ingester.telemetry_lane.attach(ingester.events)

    def handle(batch: list[Message]) -> None:
        packs = [message for message in batch if message.topic.endswith(wire.UP_TELEMETRY)]
        if packs:
            ingester.telemetry_lane.handle(packs)
        if events := [message for message in batch if message not in packs]:
            ingester.event_lane.handle(events)

    ingester.events._handle = handle


def acknowledged_before_commit(ingester: Ingester) -> None:
    """`down/ack` goes first."""
    lane, handle = ingester.event_lane, ingester.event_lane.handle

    def mistaken(messages: list[Message]) -> None:
        outcome = Outcome()
        for message in messages:
            gateway, envelope = wire.gateway_of(message.topic), wire.read_envelope(Lane.EVENT, message.payload)
            if gateway is not None and envelope is not None:
                outcome.taken.setdefault((gateway, envelope[0]), []).append(envelope[1])
        for gateway, ack in outcome.acks(Lane.EVENT):
            ingester.events.publish(wire.topic(gateway, wire.DOWN_ACK), wire.encode(ack))
        handle(messages)

    lane.handle = mistaken  # type: ignore[method-assign]


def store_not_awaited(ingester: Ingester) -> None:
    """Packs are acknowledged whether the store has answered or not."""
    store, write = ingester._center.store, ingester._center.store.write

    class Careless:
        def write(self, points: Any) -> list[Any]:
            return [] if store.away else write(points)

        check = store.check
        read = store.read

    ingester.telemetry_lane._store = Careless()


def silence_not_raised(ingester: Ingester) -> None:
    """Nobody watches the gateways."""
    ingester._center._supervisor.round = lambda now_ns, mono_ns: []  # type: ignore[method-assign]


def silence_not_cleared(ingester: Ingester) -> None:
    """A silence that is over stays open."""
    supervisor = ingester._center._supervisor
    once = supervisor.round

    def mistaken(now_ns: int, mono_ns: int) -> list[Any]:
        if ingester._center.ask("SELECT 1 FROM alert WHERE kind = 'gateway-silent' AND state <> 'resolved'"):
            return []
        return once(now_ns, mono_ns)

    supervisor.round = mistaken  # type: ignore[method-assign]


NONE = Mutation("none")
_OF_AGENT: dict[Callable[[Agent], None], tuple[str, ...]] = {
    removed_before_acknowledgement: (),
    received_at_puback: (),
    wake_up_missed: (),
    suppression_not_committed: ("kill_between_telegrams",),
    another_id_when_repeated: (),
    foreign_acknowledgement_honoured: ("swap_card",),
    local_message_acknowledged_at_once: ("die_at_commit",),
    local_output_forgets: ("kill_agent", "kill_agent", "database_away", "database_away", "out_of_reach"),
    free_clock_called_right: (),
    pack_told_with_two_times: ("clock_lost", "clock_lost", "dumb", "store_unsure"),
    accepted_without_a_person: (),
}
_OF_INGESTER: dict[Callable[[Ingester], None], tuple[str, ...]] = {
    one_lane: ("store_away",),
    acknowledged_before_commit: ("database_away", "ingester_dies_at_commit"),
    store_not_awaited: ("store_away",),
    silence_not_raised: ("long_absence",),
    silence_not_cleared: ("reboot_gateway", "broker_refuses"),
}
MUTATIONS = {
    NONE.name: NONE,
    **{each.__name__: Mutation(each.__name__, focus, on_agent=each) for each, focus in _OF_AGENT.items()},
    **{each.__name__: Mutation(each.__name__, focus, on_ingester=each) for each, focus in _OF_INGESTER.items()},
}
