"""The gateway's page for Prometheus is what docs/metrics.md says, and so is the way of each alarm that it tells."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from hearthline import wire
from hearthline.clock import NS, Stamp, SystemClock
from hearthline.model import EventType
from hearthline_edge.agent import Agent
from hearthline_edge.config import EdgeConfig, MetricsConfig, UplinkConfig
from hearthline_edge.hops import TOLD_FOR_S, Hops, Sight, Tally
from hearthline_edge.metrics import families, serve
from hearthline_edge.outbox import EventRow, Outbox
from servers import HOST, free_ports

DOCUMENT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
NOW = Stamp(1_790_000_000 * NS, 100 * NS, "boot-1", True)


def documented() -> dict[str, tuple[str, set[str]]]:
    agent = DOCUMENT.split("\n## The agent\n", 1)[1]
    rows = re.findall(r"^\| `([a-z_]+)` \| (\w+) \| (.*?) ?\| .*\|$", agent, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`([a-z_]+)`", labels))) for name, kind, labels in rows}


def by_name(found: list[Metric]) -> dict[str, Metric]:
    return {f"{each.name}_total" if each.type == "counter" else each.name: each for each in found}


async def asked(port: int, request: bytes = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") -> tuple[bytes, str]:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request)
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return head.splitlines()[0] if head else b"", body.decode()


async def answering(port: int) -> None:
    for _ in range(500):
        try:
            await asked(port)
            return
        except OSError:
            await asyncio.sleep(0.01)
    raise AssertionError("nothing listens")


def while_serving(look: Callable[[], Awaitable[Sight]], ask: Callable[[int], Awaitable[None]]) -> None:
    async def run() -> None:
        (port,) = free_ports(1)
        served = asyncio.create_task(serve(MetricsConfig(HOST, port), look))
        try:
            await answering(port)
            await ask(port)
        finally:
            served.cancel()
            await asyncio.wait([served])

    asyncio.run(run())


def status(**values: object) -> wire.Status:
    lane = wire.LaneStatus(depth=2, oldest_s=1.5, room_h=2.0, dropped=3, refused=1)
    known = {"version": "1", "clock": "synced", "event": lane, "telemetry": lane}
    return wire.Status(state="online", **(known | values))  # type: ignore[arg-type]


def test_a_running_agent_shows_what_the_document_says_and_nothing_else(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    config = EdgeConfig(
        gateway="gw-1",
        data_dir=str(tmp_path),
        uplink=UplinkConfig(host=HOST, port=9),
        metrics=MetricsConfig(host=HOST, port=port),
    )
    pages: list[str] = []

    async def run() -> None:
        agent = asyncio.create_task(Agent(config, Outbox(tmp_path), SystemClock("synced"), random.Random(1)).run())
        await answering(port)
        pages.append((await asked(port))[1])
        agent.cancel()
        await asyncio.wait([agent])

    asyncio.run(run())
    found = by_name(list(text_string_to_metric_families(pages[0])))
    ours = {name: family for name, family in found.items() if not name.startswith("process_")}
    expected = documented()
    assert set(ours) | {"hearthline_edge_outbox_room_seconds"} == set(expected)  # nothing was measured: no rate
    assert {name for name in found if name.startswith("process_")} >= {"process_resident_memory_bytes"}
    for name, family in ours.items():
        kind, labels = expected[name]
        assert (family.type, bool(family.documentation)) == (kind, True), name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels, name
    assert ours["hearthline_edge_uplink_connected"].samples[0].value == 0.0
    commits = ours["hearthline_edge_commit_seconds"].samples
    assert next(each.value for each in commits if each.name.endswith("_count")) > 0


def test_names_are_by_the_conventions() -> None:
    for name, (kind, _) in documented().items():
        assert re.fullmatch(r"hearthline_edge(_[a-z]+)+", name), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert kind != "histogram" or name.endswith("_seconds"), name


def test_the_figures_are_those_of_the_status() -> None:
    refusals = {"radio:crc": 4, "radio:length": 1, "meters:sanity: odd": 2}
    found = by_name(families(Sight(status(refusals=refusals, faults=["a", "b"]), True, {"x_seconds": ("x", Tally())})))
    assert [each.value for each in found["hearthline_edge_outbox_records"].samples] == [2.0, 2.0]
    assert found["hearthline_edge_outbox_room_seconds"].samples[0].value == 7200.0
    assert found["hearthline_edge_faults"].samples[0].value == 2.0
    refused = {each.labels["source"]: each.value for each in found["hearthline_edge_frames_refused_total"].samples}
    assert refused == {"radio": 5.0, "meters": 2.0}


def test_an_outbox_that_cannot_be_read_leaves_its_figures_out() -> None:
    found = by_name(families(Sight(status(event=None, telemetry=None, faults=["outbox"]), False, {})))
    assert not [name for name in found if "outbox" in name]
    assert found["hearthline_edge_faults"].samples[0].value == 1.0


def test_whoever_asks_oddly_gets_nothing_and_holds_up_nobody() -> None:
    async def look() -> Sight:
        return Sight(status(), True, {})

    async def ask(port: int) -> None:
        held = [await asyncio.open_connection(HOST, port) for _ in range(3)]  # they ask nothing
        assert (await asked(port, b"GET / HTTP/1.1\r\n\r\n"))[0] == b"HTTP/1.1 404 Not Found"
        assert (await asked(port, b"POST /metrics HTTP/1.1\r\n\r\n"))[0] == b"HTTP/1.1 404 Not Found"
        assert (await asked(port, b"x" * 100_000 + b"\r\n\r\n"))[0] == b""
        assert (await asked(port))[0] == b"HTTP/1.1 200 OK"
        for _, writer in held:
            writer.close()
            await writer.wait_closed()

    while_serving(look, ask)


def test_a_tally_is_a_histogram() -> None:
    tally = Tally((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        tally.observe(seconds)
    assert tally.buckets() == [("0.1", 2.0), ("1.0", 3.0), ("+Inf", 4.0)]
    assert tally.total_s == pytest.approx(7.65)


# --- the way of an alarm ---


def alarm(key: str = "e-1", made: Stamp = NOW, urgent: bool = True) -> EventRow:
    return EventRow(1, key, EventType.ALARM, "d", urgent, made, {})


def test_the_way_of_an_alarm_is_told_for_some_minutes() -> None:
    hops = Hops()
    hops.committed([alarm(), alarm("e-2", urgent=False)], NOW.later(0.004))
    hops.sent(alarm(), NOW.later(0.006))
    hops.sent(alarm(), NOW.later(3.0))
    assert hops.to_tell(NOW.later(4)) == []
    hops.acknowledged([alarm(), alarm("e-2", urgent=False)], NOW.later(3.5))
    told = [wire.AlarmHops(event="e-1", kept=0.004, sent=0.006, sendings=2, received=3.5)]
    assert hops.to_tell(NOW.later(4)) == told
    assert hops.to_tell(NOW.later(3.4 + TOLD_FOR_S)) == told
    assert hops.to_tell(NOW.later(3.6 + TOLD_FOR_S)) == []
    assert (hops.kept.total_s, hops.received.total_s) == (0.004, 3.5)


def test_an_alarm_of_an_earlier_boot_has_no_way_that_anybody_knows() -> None:
    hops = Hops()
    before = Stamp(NOW.wall_ns, NOW.mono_ns, "boot-0", True)
    hops.committed([alarm(made=before)], NOW)
    hops.acknowledged([alarm(made=before)], NOW.later(1))
    assert hops.to_tell(NOW.later(2)) == []
    assert hops.received.total_s == 0.0


def test_what_is_remembered_is_bounded() -> None:
    hops = Hops()
    rows = [alarm(f"e-{number}") for number in range(1000)]
    hops.committed(rows, NOW)
    hops.acknowledged(rows, NOW.later(1))
    assert [each.event for each in hops.to_tell(NOW.later(2))] == [f"e-{number}" for number in range(992, 1000)]
