"""The elder's patience, the ledger's truth and the schedules: all without a wait."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import msgspec
import pytest

from hearthline.clock import NS, rfc3339
from hearthline.errors import ConfigError, ProtocolError
from hearthline_sim.devices.load_curve import DAY_S
from hearthline_sim.elder import Elder
from hearthline_sim.ledger import Ledger, Output, Press, SentReading, Vital
from hearthline_sim.schedule import MIN_GAP_S, HomeTime, next_measurement, plan_calls

T0 = 1_795_000_000 * NS
PENDANT = "enocean:002EE196"


def signal(kind: str, stamped_ns: int, event: str = "e1", device: str = PENDANT) -> bytes:
    told = {"signal": kind, "event": event, "device": device, "button": "AO", "ordinal": 7, "time": rfc3339(stamped_ns)}
    return msgspec.json.encode(told)


def test_an_unheard_elder_presses_again_without_end() -> None:
    elder = Elder(Ledger(), patience_s=12)
    now = T0
    press = elder.press(PENDANT, "AO", "emergency", now)
    assert elder.impatient(now + 11 * NS) == []
    for _ in range(20):
        now += 12 * NS
        assert elder.impatient(now) == [press]
        assert not elder.may_call(PENDANT, now)
        press = elder.press(PENDANT, "AO", "emergency", now)
        assert press.again_of == 1
    assert press.ordinal == 21
    assert elder.cries == 1


@pytest.mark.parametrize(
    ("stamped_s", "ordinal"),
    [(-0.3, None), (-0.1, 1), (0.0, 1), (11.7, 1), (11.9, 2), (12.5, 2)],
)
def test_a_signal_belongs_to_the_latest_press_at_or_before_its_time(stamped_s: float, ordinal: int | None) -> None:
    elder = Elder(Ledger(), patience_s=12)
    elder.press(PENDANT, "AO", "emergency", T0)
    elder.press(PENDANT, "AO", "emergency", T0 + 12 * NS)
    heard = elder.hear(signal("received", T0 + round(stamped_s * NS)), T0 + 13 * NS)
    assert (heard.press.ordinal if heard else None) == ordinal
    assert elder.cries == (1 if ordinal is None else 0)


def test_signals_are_recorded_once_and_a_second_event_is_shown() -> None:
    ledger = Ledger()
    elder = Elder(ledger, patience_s=12)
    elder.press(PENDANT, "AO", "emergency", T0)
    kinds = []
    told = [("received", "e1"), ("received", "e1"), ("received", "e2"), ("accepted", "e1"), ("accepted", "e1")]
    for at, (kind, event) in enumerate(told):
        heard = elder.hear(signal(kind, T0, event), T0 + at)
        kinds.append(heard and (heard.kind, heard.duplicate))
    assert kinds == [("received", False), None, ("received", True), ("accepted", False), None]
    (press,) = ledger.presses
    assert (press.received_event, press.received_wall_ns, press.accepted_wall_ns) == ("e1", T0, T0 + 3)
    assert elder.may_call(PENDANT, T0 + 2 * NS)
    assert not elder.may_call(PENDANT, T0 + NS)


def test_what_is_no_signal_is_refused_and_other_devices_are_ignored() -> None:
    elder = Elder(Ledger(), patience_s=12)
    for payload in (b"", b"\xff", b"{}", b'{"signal":"received","event":"e","device":"d","time":"now"}'):
        with pytest.raises(ProtocolError):
            elder.hear(payload, T0)
    assert elder.hear(signal("received", T0, device="enocean:00000001"), T0) is None


def test_a_ledger_comes_back_from_its_file_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with Ledger(path) as ledger:
        first = ledger.press(PENDANT, "AO", "emergency", T0)
        ledger.sent(first, T0 + 5, heard=False)
        again = ledger.press(PENDANT, "AO", "emergency", T0 + 12, again_of=first.ordinal)
        ledger.received(again, "e1", T0 + 20)
        ledger.accepted(again, "e1", T0 + 30)
        ledger.vital(Vital("raycome:cuff0", 122, 75, 95, T0))
        ledger.reading(SentReading("dlt645:000000000161", "energy_import", 0.26, T0))
        ledger.output(Output("z2m:siren", on=True, wall_ns=T0, mode="emergency"))
        kept = (ledger.presses, ledger.vitals, ledger.readings, ledger.outputs)
    with path.open("ab") as file:
        file.write(b'{"kind":"press","dev')  # killed while writing
    loaded = Ledger.load(path)
    assert (loaded.presses, loaded.vitals, loaded.readings, loaded.outputs) == kept
    assert loaded.presses == [
        Press(PENDANT, 1, "AO", "emergency", T0, sent_wall_ns=T0 + 5, heard=False),
        Press(PENDANT, 2, "AO", "emergency", T0 + 12, 1, None, True, "e1", T0 + 20, T0 + 30),
    ]
    with Ledger(path) as more:
        assert more.press(PENDANT, "AO", "emergency", T0).ordinal == 3
    assert [press.ordinal for press in Ledger.load(path).presses] == [1, 2, 3]


def test_a_schedule_is_its_seeds_and_keeps_presses_apart() -> None:
    for seed in range(20):
        plan = plan_calls(Random(seed), 5, 100, 60.0)
        assert plan == plan_calls(Random(seed), 5, 100, 60.0)
        assert len(plan) == 100
        for caller in range(5):
            times = [call.at_s for call in plan if call.caller == caller]
            gaps = [later - earlier for earlier, later in pairwise(times)]
            assert min(gaps) >= MIN_GAP_S - 1e-9
        assert plan[-1].at_s < 62
    assert plan_calls(Random(1), 5, 100, 60.0) != plan_calls(Random(2), 5, 100, 60.0)
    assert plan_calls(Random(1), 0, 0, 60.0) == []


@pytest.mark.parametrize(("callers", "presses"), [(0, 1), (1, 31)])
def test_a_schedule_that_does_not_fit_is_refused(callers: int, presses: int) -> None:
    with pytest.raises(ConfigError, match="--presses"):
        plan_calls(Random(1), callers, presses, 60.0)


def test_the_elder_measures_twice_a_day_at_usual_hours() -> None:
    second, seen = 0.0, []
    for _ in range(6):
        due = next_measurement(3, [7 * 3600, 19 * 3600], second)
        assert due is not None
        second = due
        seen.append(due)
    hours = [due % DAY_S / 3600 for due in seen]
    assert all(abs(hour - usual) <= 0.25 for hour, usual in zip(hours, [7, 19] * 3, strict=True))
    assert next_measurement(3, [], 0.0) is None


def test_the_home_time_runs_faster_than_the_wall() -> None:
    home = HomeTime(T0, 3600.0, 60.0)
    assert home.second(T0 + 10 * NS) == 3600 + 600
    assert home.wait_s(7200, T0) == 60
    assert home.second(T0 - 3600 * NS) == 0
