"""The way of an alarm through every machine: which hops are known, by whose clock, how far the clocks may differ."""

from __future__ import annotations

import time

import pytest
from typer.testing import CliRunner

from cloud_center import Cloud
from hearthline import wire
from hearthline.clock import NS, parse_rfc3339
from hearthline.errors import ProtocolError
from hearthline_cloud import schema
from hearthline_cloud.commands import app
from hearthline_cloud.tracing import Trace, in_words, note_streamed, trace

AHEAD_S = 7.0  # of the gateway's clock
HOPS = {"kept": 0.000004, "sent": 0.000006, "sendings": 1, "received": 0.5}


@pytest.fixture
def database_url(file_url: str) -> str:
    """SQLite alone, but for the test on `either`."""
    return file_url


def told(event: str, **changes: object) -> wire.Status:
    hops = wire.AlarmHops(**({"event": event} | HOPS | changes))  # type: ignore[arg-type]
    return wire.Status(state="online", outbox="outbox-1", hops=[hops])


def traced(cloud: Cloud, alert: int = 1) -> Trace:
    with cloud.database.reading() as connection:
        found = trace(connection, alert)
    assert found is not None
    return found


def pressed_on_a_clock_that_is_ahead(cloud: Cloud) -> wire.Event:
    made = cloud.gateway.press()
    press = wire.Event(made.id, made.source, made.type, made.subject, made.wall_ns + round(AHEAD_S * NS), made.data,
                       made.envelope)  # fmt: skip
    cloud.take(press)
    with cloud.database.transaction() as connection:
        cloud.lane.note_committed(connection)
        note_streamed(connection, [(cloud.rows(schema.event)[0].id, time.time_ns())])
    return press


def test_every_hop_is_told_by_its_own_clock_and_the_clocks_are_bounded(either: Cloud) -> None:
    press = pressed_on_a_clock_that_is_ahead(either)
    either.take(told(press.id))
    (way,) = traced(either).presses
    names = [(hop.name, hop.clock) for hop in way.hops]
    assert names == [
        ("read", "gateway"), ("kept", "gateway"), ("sent", "gateway"),
        ("received", "center"), ("committed", "center"), ("streamed", "center"),
        ("home-received", "gateway"),
    ]  # fmt: skip
    assert [hop.since_s for hop in way.hops[:3]] == [None, pytest.approx(4e-6), pytest.approx(2e-6)]
    assert (way.total_s, way.sendings, way.time_quality) == (0.5, 1, "synced")
    least, most = way.clock_bounds_s
    assert least is not None
    assert most is not None
    assert least <= AHEAD_S <= most
    assert most - least <= 0.5
    center = [parse_rfc3339(hop.at) for hop in way.hops if hop.clock == "center"]
    assert center == sorted(center)


def test_hops_that_nobody_noted_are_missing(cloud: Cloud) -> None:
    cloud.take(cloud.gateway.press())
    (way,) = traced(cloud).presses
    assert [hop.name for hop in way.hops] == ["read", "received"]
    assert (way.total_s, way.clock_bounds_s) == (None, (None, None))
    assert "has not told its own hops" in in_words(traced(cloud))


def test_what_is_told_again_or_by_another_gateway_changes_nothing(cloud: Cloud) -> None:
    press = pressed_on_a_clock_that_is_ahead(cloud)
    other = cloud.gateway.message(told(press.id, received=9.0))
    cloud.take(type(other)(other.topic.replace("gw-1", "gw-2"), other.payload, False, 1, 1))
    assert traced(cloud).presses[0].total_s is None
    cloud.take(told(press.id))
    before = cloud.rows(schema.event)
    cloud.take(told(press.id, received=9.0), told("no-such-event"))
    with cloud.database.transaction() as connection:
        note_streamed(connection, [(before[0].id, 1)])
    assert cloud.rows(schema.event) == before


@pytest.mark.parametrize(
    "wrong",
    [{"kept": -1.0}, {"received": 1e9}, {"kept": 0.6}, {"sent": 0.000001}, {"sendings": 2**40}],
    ids=["negative", "a-lifetime", "kept-after-received", "sent-before-kept", "countless"],
)
def test_impossible_hops_are_left_out_and_the_status_is_taken(cloud: Cloud, wrong: dict[str, float]) -> None:
    press = pressed_on_a_clock_that_is_ahead(cloud)
    cloud.take(told(press.id, **wrong))
    assert traced(cloud).presses[0].total_s is None
    assert cloud.rows(schema.gateway)[0].state == "online"
    assert cloud.count(schema.kept_aside) == 0


def test_a_flood_of_hops_is_cut(cloud: Cloud) -> None:
    presses = [cloud.gateway.press() for _ in range(12)]
    cloud.take(*presses)
    hops = [wire.AlarmHops(event=press.id, **HOPS) for press in presses]  # type: ignore[arg-type]
    cloud.take(wire.Status(state="online", hops=hops))
    assert sum(row.hops is not None for row in cloud.rows(schema.event)) == 8
    assert "hops" not in cloud.rows(schema.gateway)[0].status


def test_a_clock_that_was_set_meanwhile_is_told(cloud: Cloud) -> None:
    press = pressed_on_a_clock_that_is_ahead(cloud)
    cloud.take(told(press.id, kept=0.0, sent=0.0, received=0.0))
    assert "contradict each other" in in_words(traced(cloud))


def test_not_a_number_is_no_status() -> None:
    payload = wire.encode(told("e")).replace(b"0.5", b"NaN")
    with pytest.raises(ProtocolError):
        wire.decode_status(payload)


def test_the_command_says_it_in_words_and_as_json(cloud: Cloud) -> None:
    press = pressed_on_a_clock_that_is_ahead(cloud)
    cloud.take(told(press.id))
    config = cloud.folder / "center.toml"
    database = cloud.database.engine.url.render_as_string(hide_password=False)
    config.write_text(f'data_dir = "{cloud.folder}"\ndatabase = "{database}"\n', encoding="utf-8")
    run = CliRunner()
    said = run.invoke(app, ["trace", "1", "--config", str(config)])
    assert said.exit_code == 0, said.output
    assert "on the gateway's disk" in said.output
    assert "s ahead of the center's" in said.output
    assert '"name":"committed"' in run.invoke(app, ["trace", "1", "--config", str(config), "--json"]).output
    missing = run.invoke(app, ["trace", "99", "--config", str(config)], standalone_mode=False)
    assert (missing.return_value, "there is no alert 99" in missing.output) == (1, True)
