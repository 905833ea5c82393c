"""Devices behind the local broker: every MQTT driver and profile on two sessions, one for events, one for readings.

    local broker --+-- session "devices"  --> every driver's decoder --> events   --> PUBACK after the commit
                   +-- session "readings" --> every driver's decoder --> readings --> PUBACK after the commit

Two and not one, so that readings that a full disk cannot take never use up the broker's window ahead of a press; not
two a driver, for a home has a dozen of them. A message that several drivers claim is acknowledged when all of its
events are committed: they arrive, and so are committed, together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from hearthline.clock import Clock
from hearthline_edge.arrival import Arrival, MqttTicket, Source
from hearthline_edge.custody import Custody
from hearthline_edge.devices import GroupingRule, MqttDriver, MqttMessage, MqttSession, Seen, run_driver
from hearthline_edge.local_mqtt import LocalSession
from hearthline_edge.outbox import Outbox
from hearthline_edge.payload import raw_text

EVENTS = "devices"
READINGS = "readings"
LANE = Source(EVENTS, "mqtt", GroupingRule(0.0))  # of messages that no driver claims
OnMessage = Callable[[MqttMessage, MqttTicket | None], None]
OpenSession = Callable[[str, tuple[str, ...], OnMessage, Callable[[], None]], LocalSession]


@dataclass(frozen=True, slots=True)
class _Listener:
    """One driver on one session: `decoder` holds what the family needs between messages."""

    driver: MqttDriver
    source: Source
    decoder: MqttSession


class LocalDevices:
    """Both sessions. `offer_events`, `offer_readings`: into the intakes, whose tickets come back to `taken…`."""

    def __init__(
        self,
        drivers: Sequence[MqttDriver],
        options: dict[str, dict[str, Any]],
        clock: Clock,
        custody: Custody,
        open_session: OpenSession,
        offer_events: Callable[[Arrival], None],
        offer_readings: Callable[[Arrival], None],
    ) -> None:
        self._clock = clock
        self._custody = custody
        self._drivers = [driver.configured(options.get(driver.name, {})) for driver in drivers]
        subscriptions = tuple(dict.fromkeys(each for driver in self._drivers for each in driver.subscriptions))
        hear_events = self._receiver(options, lambda arrival: offer_events(arrival.events()))
        hear_readings = self._receiver(options, lambda arrival: offer_readings(arrival.readings()))
        self._events = open_session(EVENTS, subscriptions, hear_events, self._forget)
        self._readings = open_session(READINGS, subscriptions, hear_readings, lambda: None)

    def taken(self, tickets: list[MqttTicket]) -> None:
        """These messages' events are committed."""
        handed = self._events.acknowledge(tickets)

        def note(outbox: Outbox) -> None:
            for each in handed:
                outbox.acknowledged_mqtt(each.source, (each.mid,))

        self._custody.post(note)

    def taken_readings(self, tickets: list[MqttTicket]) -> None:
        self._readings.acknowledge(tickets)

    def _forget(self) -> None:
        def forget(outbox: Outbox) -> None:
            for driver in self._drivers:
                outbox.forget_mqtt(driver.name)

        self._custody.post(forget)

    def _receiver(self, options: dict[str, dict[str, Any]], offer: Callable[[Arrival], None]) -> OnMessage:
        listeners = [
            _Listener(
                driver,
                Source(driver.name, driver.name, driver.grouping),
                driver.open_session(options.get(driver.name, {})),
            )
            for driver in self._drivers
        ]

        def receive(message: MqttMessage, ticket: MqttTicket | None) -> None:
            now = self._clock.now()
            claimed = [each for each in listeners if each.driver.claims(message.topic)]
            for each in claimed:
                decode = partial(each.decoder.receive, message, now)
                items = run_driver(each.driver.name, decode, raw_text(message.payload))
                if message.retained:  # the broker's memory of it says not that the device lives
                    items = tuple(item for item in items if not isinstance(item, Seen))
                offer(Arrival(items, now, ticket and replace(ticket, source=each.source.name), each.source))
            if not claimed:
                offer(Arrival((), now, ticket))

        return receive
