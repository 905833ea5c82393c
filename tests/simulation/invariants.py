"""The promises, looked after every second and at the end. What is judged is what the outbox, the database, the store
and the home themselves show, against what truly happened."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence

from hearthline.clock import NS
from hearthline.model import EventType
from simulation.center import Center
from simulation.gateway import EVENT_BOUND, METER_DEVICE, Committed, Gateway
from simulation.people import Elder, Pressed
from simulation.trace import EPOCH_NS, Trace, Violation

LATE_S = 9.0  # an alarm whose publish was swallowed goes again after 3.6, then 7.2 s at the longest
PROMPT_S = 3.0  # one that nothing has swallowed
OUTPUT_AFTER_S, OUTPUT_SLACK_S = 10.0, 2.5
OUTPUT_OFF_S = 4.0
SEEN_S, UNHEARD_S = 130.0, 100.0  # the center has seen for so long, a gateway was not heard for so long
CLOCK_ERROR_NS = NS // 10
ESTIMATE_LATE_NS = 200 * NS  # by how long the first record was under way, and the power was off
CHATTER_PRESSES = 5


class Monitor:
    """Raises Violation."""

    def __init__(self, trace: Trace, center: Center, gateways: Sequence[Gateway], elders: Sequence[Elder]) -> None:
        self._trace = trace
        self._center = center
        self._gateways = {gateway.id: gateway for gateway in gateways}
        self._elders = elders
        self._last_event = 0
        self._slow: list[tuple[float, float]] = []  # when, and how long a message took at most
        self._seeing_since: float | None = None
        self._quiet_since: dict[str, float] = {}
        self._silences = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._look_at_processes()
            self._look_at_events()
            self._look_at_silence()
            for gateway in self._gateways.values():
                self._look_for_late_alarms(gateway)
                self._look_at_output(gateway)

    # --- every second ---

    def _look_at_processes(self) -> None:
        if self._trace.broken:
            raise Violation(self._trace.broken)
        processes = [gateway.process for gateway in self._gateways.values()]
        ingester = self._center.ingester
        for process in (*processes, ingester.process if ingester else None):
            if process is not None and process.failure is not None and process.alive:
                failure = process.failure
                raise Violation(f"{process.name} died of a bug: {''.join(traceback.format_exception(failure))}")

    def _look_at_events(self) -> None:
        """Nothing but what was committed at home arrives, each alarm in an alert, at its right time."""
        rows = self._center.ask(
            "SELECT id, gateway_id, event_id, type, alert_id, occurred_ns, time_quality, received_ns FROM event"
            " WHERE id > ? ORDER BY id",
            self._last_event,
        )
        for key, gateway_id, event_id, kind, alert, occurred_ns, quality, received_ns in rows:
            self._last_event = key
            gateway = self._gateways[gateway_id]
            committed = gateway.events.get(event_id)
            if committed is None:
                raise Violation(f"{gateway_id}: the center has an event that no outbox has committed")
            committed.in_cloud_at = (received_ns - EPOCH_NS) / NS
            self._trace.note("center", f"has {self._trace.name(event_id, 'e')}, {quality}, alert {alert}")
            if kind == EventType.ALARM and alert is None:
                raise Violation(f"{gateway_id}: an alarm that belongs to no alert")
            self._check_time(gateway, committed, occurred_ns, quality)

    def _check_time(self, gateway: Gateway, committed: Committed, occurred_ns: int, quality: str) -> None:
        stamp = committed.row.stamp
        true_ns = gateway.clock.true_ns(stamp.boot, stamp.mono_ns)
        error_ns = occurred_ns - true_ns
        if quality == "synced" and stamp.boot not in gateway.clock.synced_boots:
            raise Violation(f"{gateway.id}: a time is called synchronised that never was")
        if quality == "synced" and abs(error_ns) > CLOCK_ERROR_NS:
            raise Violation(f"{gateway.id}: an event {error_ns / NS:.3f} s off its time, called synchronised")
        if quality != "synced" and not -CLOCK_ERROR_NS < error_ns < ESTIMATE_LATE_NS:
            raise Violation(f"{gateway.id}: an estimate {error_ns / NS:.3f} s off")

    def _look_for_late_alarms(self, gateway: Gateway) -> None:
        slowness = self._slowness()
        whole, linked = self._whole_since(gateway)
        if whole is None:
            return
        now = self._trace.now()
        for committed in gateway.emergencies():
            if committed.in_cloud_at is not None or committed.on_lost_card:
                continue
            swallowed = linked < whole and committed.at < whole
            waited = now - max(whole, committed.at)
            turns = 1 + self._crowd(gateway, committed) // EVENT_BOUND
            if waited > turns * ((LATE_S if swallowed else PROMPT_S) + 20 * slowness):
                name = self._trace.name(committed.row.id, "e")
                raise Violation(f"{gateway.id}: alarm {name} has not arrived after {waited:.1f} s of a whole link")

    def _crowd(self, gateway: Gateway, committed: Committed) -> int:
        """How many alarms of the last ten seconds go before this one: so many turns of the window."""
        return sum(0 <= committed.at - each.at <= 10 for each in gateway.emergencies())

    def _slowness(self) -> float:
        """What is under way left when the line was as slow as it has lately been."""
        now = self._trace.now()
        self._slow.append((now, self._center.broker.weather.delay_s[1]))
        self._slow = [(at, delay_s) for at, delay_s in self._slow if now - at <= 10]
        return max(delay_s for _, delay_s in self._slow)

    def _whole_since(self, gateway: Gateway) -> tuple[float | None, float]:
        """Since when nothing is in the way of an alarm, and since when the gateway is linked."""
        center, broker = self._center, self._center.broker
        ingester = center.ingester
        link = broker.sessions.get(gateway.id)
        is_whole = (
            gateway.alive
            and gateway.disk.mode in ("whole", "full")
            and ingester is not None
            and center.alive
            and ingester.events.connected
            and not center.fault.away
            and broker.running
            and not any(gateway.id in each for each in broker.refuses)
            and link is not None
            and link.connection is not None
            and link.connection.whole
            and bool(link.filters)
        )
        events = ingester.events.connection if ingester is not None else None
        if not is_whole or events is None or not events.whole or link is None or link.connection is None:
            gateway.whole_since = None
            return None, 0.0
        if gateway.whole_since is None:
            gateway.whole_since = self._trace.now()
        return gateway.whole_since, link.connection.since

    def _look_at_output(self, gateway: Gateway) -> None:
        """The local output sounds for an alarm that nobody has received, and for nothing else."""
        now = self._trace.now()
        settled = (
            gateway.alive
            and now - gateway.alive_since > OUTPUT_OFF_S
            and gateway.disk.mode == "whole"
            and now - gateway.disk.since > OUTPUT_OFF_S
            and gateway.home_is_linked
        )
        if not settled:
            self._quiet_since.pop(gateway.id, None)
            return
        pending = [now - each.pressed_at for each in gateway.emergencies() if gateway.is_pending(each)]
        if any(age > OUTPUT_AFTER_S + OUTPUT_SLACK_S for age in pending) and not gateway.siren_on:
            raise Violation(f"{gateway.id}: an alarm without 'received' for {max(pending):.1f} s, and no local output")
        may_sound = [now - each.pressed_at for each in gateway.emergencies() if gateway.may_sound(each)]
        if any(age > OUTPUT_AFTER_S - 1 for age in may_sound):
            self._quiet_since.pop(gateway.id, None)
            return
        quiet = self._quiet_since.setdefault(gateway.id, now)
        if gateway.siren_on and now - quiet > OUTPUT_OFF_S:
            raise Violation(f"{gateway.id}: the local output sounds for nothing")

    def _look_at_silence(self) -> None:
        center, now = self._center, self._trace.now()
        ingester = center.ingester
        sees = (
            ingester is not None
            and center.alive
            and ingester.events.connected
            and ingester.telemetry.connected
            and not center.fault.away
        )
        if not sees:
            self._seeing_since = None
        elif self._seeing_since is None:
            self._seeing_since = now
        open_silences = center.ask(
            "SELECT gateway_id, raised_ns, id FROM alert WHERE kind = 'gateway-silent' AND state <> 'resolved'"
        )
        silent = {gateway for gateway, _, _ in open_silences}
        if len(silent) != len(open_silences):
            raise Violation("a gateway's silence is raised twice")
        for gateway_id, gateway in self._gateways.items():
            heard = center.ask("SELECT last_seen_ns FROM gateway WHERE id = ?", gateway_id)[0][0]
            unheard_s = now if heard is None else now - (heard - EPOCH_NS) / NS
            seen_s = 0.0 if self._seeing_since is None else now - self._seeing_since
            if unheard_s > UNHEARD_S and seen_s > SEEN_S and gateway_id not in silent:
                raise Violation(f"{gateway_id}: silent for {unheard_s:.0f} s and no alert says so")
            whole = gateway.whole_since
            if gateway_id in silent and whole is not None and now - whole > 45:
                raise Violation(f"{gateway_id}: heard for {now - whole:.0f} s and its silence is still an alert")

    # --- at the end ---

    def owed(self) -> str:
        """What has not arrived."""
        waiting = [
            f"{gateway.id}: {sum(1 for each in gateway.events.values() if gateway.is_here(each))} events,"
            f" {gateway.packs_waiting()} packs"
            for gateway in self._gateways.values()
        ]
        presses = [f"{each.device} at {each.at:.3f} s" for each in self._owed_presses()]
        return "; ".join(waiting + presses)

    def is_drained(self) -> bool:
        for gateway in self._gateways.values():
            if any(gateway.is_here(each) for each in gateway.events.values()) or gateway.packs_waiting():
                return False
        open_silence = self._center.ask("SELECT 1 FROM alert WHERE kind = 'gateway-silent' AND state <> 'resolved'")
        return not self._owed_presses() and not open_silence

    def check_at_the_end(self, drained: float) -> None:
        """`drained`: when everything had arrived; what was committed later may be under way."""
        self._look_at_processes()
        self._look_at_events()
        for gateway in self._gateways.values():
            for committed in gateway.events.values():
                if committed.at > drained or committed.on_lost_card:
                    continue
                if not self._center.has_event(gateway.id, committed.row.id):
                    raise Violation(f"{gateway.id}: event {self._trace.name(committed.row.id, 'e')} is lost")
            self._check_readings(gateway, drained)
        self._check_alerts()
        for elder in self._elders:
            self._check_presses(elder.presses)

    def _check_readings(self, gateway: Gateway, drained: float) -> None:
        estimated = {boot for (boot,) in self._center.ask("SELECT boot FROM boot_clock")}
        times: dict[float, list[int]] = {}
        for samples in (s for key, s in self._center.store.samples.items() if key[:2] == (gateway.id, METER_DEVICE)):
            for time_ns, value in samples.items():
                times.setdefault(value, []).append(time_ns)
        for reading, true_ns, committed_at, boot, card in gateway.readings:
            stored = times.get(reading.value, [])
            if reading.value in gateway.dropped_values or card != gateway.cards:
                continue
            late = committed_at > drained and not stored
            if len(stored) != 1 and not late:
                raise Violation(f"{gateway.id}: reading {reading.value} is stored {len(stored)} times")
            if stored and abs(stored[0] - true_ns) > CLOCK_ERROR_NS and boot not in estimated:
                raise Violation(f"{gateway.id}: reading {reading.value} {(stored[0] - true_ns) / NS:.3f} s off")

    def _check_alerts(self) -> None:
        wrong = self._center.ask(
            "SELECT alert.id FROM alert WHERE kind = 'emergency'"
            " AND presses <> (SELECT count(*) FROM event WHERE alert_id = alert.id)"
        )
        if wrong:
            raise Violation(f"alert {wrong[0][0]} counts other presses than it has events")

    def _check_presses(self, presses: Sequence[Pressed]) -> None:
        """No press made two events. The pendant's are told by their time, the others by their number."""
        for press in presses:
            found = self._events_of(press)
            allowed = sum(each.device == press.device for each in presses) if press.device.startswith("z2m") else 1
            if found > allowed:
                raise Violation(f"{press.gateway}: {press.device} pressed at {press.at:.3f} s made {found} events")

    def _owed_presses(self) -> list[Pressed]:
        """Presses that the local broker has taken, of which there is no event yet."""
        presses = [press for elder in self._elders for press in elder.presses if press.owed]
        owed: dict[tuple[str, str], list[Pressed]] = {}
        for press in presses:
            owed.setdefault((press.gateway, press.device), []).append(press)
        return [
            of_one[-1] for of_one in owed.values() if self._events_of(of_one[0]) < min(len(of_one), CHATTER_PRESSES)
        ]

    def _events_of(self, press: Pressed) -> int:
        gateway = self._gateways[press.gateway]
        found = 0
        for each in gateway.emergencies():
            if each.row.device != press.device:
                continue
            found += press.device.startswith("z2m") or press.at - 1e-6 <= each.pressed_at <= press.until + 0.01
        return found
