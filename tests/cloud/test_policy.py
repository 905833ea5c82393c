"""The policies: every problem of a text with its line, the saved versions, and what the desk makes of them."""

from __future__ import annotations

import tomllib
from datetime import date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from sqlalchemy import insert, update
from typer.testing import CliRunner

from cloud_center import Cloud
from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.alerts.escalation import SHIPPED, Firing, Reach, Target, TargetKind
from hearthline_cloud.alerts.schedule import Hours, Override, Rotation, Schedule, Shift
from hearthline_cloud.commands import app
from hearthline_cloud.notify.retention import BATCH, UNSENT, delete_finished
from hearthline_cloud.policy_file import MAX_CHARACTERS, read_policies
from hearthline_cloud.policy_problems import Problem, Wrong
from hearthline_cloud.policy_store import (
    SHIPPED_VERSION,
    Holding,
    PolicyError,
    Saved,
    StalePolicyError,
    holding,
    newest,
    newest_version,
    save,
)
from hearthline_cloud.policy_text import shipped_text
from hearthline_cloud.telling import FaultKind, failing_channels, policy_faults

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "policy.toml"
REACHES = (Reach("duty", frozenset({"mei", "jun", "boss"})), Reach("family", contacts=True), Reach("street"))
KEPT_DAYS = 30
NOW = 1_800_000_000 * NS  # 2027-01-15 16:00 in Shanghai
ANY = '[policy.a]\nrepeat_s = 60\nprogress_s = 900\n[[policy.a.step]]\nafter_s = 0\nto = ["everyone"]\n'
GOOD = """otherwise = "a"
[[rule]]
policy = "a"
[policy.a]
repeat_s = 60
progress_s = 900
[[policy.a.step]]
after_s = 0
to = ["channel:duty"]
[[policy.a.step]]
after_s = 60
to = ["contact", "everyone"]
"""
NIGHTS = (
    GOOD.replace('"channel:duty"', '"schedule:night"')
    + """
[schedule.night]
zone = "Europe/Berlin"
[[schedule.night.shift]]
days = ["mon", "sun"]
from = 08:00:00
to = 20:00:00
staff = ["mei"]
[[schedule.night.rotation]]
every = "week"
start = 2026-01-05
staff = ["mei", "jun"]
[[schedule.night.override]]
date = 2026-02-17
to = 12:00:00
staff = ["boss"]
"""
)


def test_what_is_shipped_is_the_example_and_the_text_that_one_begins_with() -> None:
    assert read_policies(EXAMPLE.read_text("utf-8"), REACHES).policies == SHIPPED
    assert read_policies(shipped_text(), REACHES).policies == SHIPPED
    assert tomllib.loads(shipped_text())["otherwise"] == SHIPPED.fallback


@pytest.mark.parametrize(
    ("kind", "policy"),
    [("emergency", "emergency"), ("service", "service"), ("gateway-silent", "fault"), ("of-tomorrow", "fault")],
)
def test_every_kind_has_a_policy(kind: str, policy: str) -> None:
    assert SHIPPED.policy_for(kind, "press", "").name == policy


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "message"),
    [
        ('otherwise = "a"', 'otherwise = "b"', 1, "otherwise", "'b': there is no such policy"),
        ('otherwise = "a"\n', "", 1, "", "missing key `otherwise`"),
        ('\npolicy = "a"', '\npolicy = "b"', 3, "rule[0].policy", "'b': there is no such policy"),
        ('\npolicy = "a"', '\npolicy = "a"\nkind = "fire"', 4, "rule[0].kind", "'fire': there are: access-fault"),
        ("repeat_s = 60", "repeat_s = 1", 5, "policy.a.repeat_s", "1: must be 30 to 2592000 seconds"),
        ("repeat_s = 60", "repeat_s = nan", 5, "policy.a.repeat_s", "nan: must be"),
        ("repeat_s = 60", 'repeat_s = "60"', 5, "policy.a.repeat_s", "Expected `float`, got `str`"),
        ("repeat_s = 60", "repeats_s = 60", 5, "policy.a.repeats_s", "unknown key; there are: step, repeat_s"),
        ("after_s = 60", "after_s = 0", 11, "policy.a.step[1].after_s", "0: each step comes later"),
        ("after_s = 60\n", "", 10, "policy.a.step[1]", "missing key `after_s`"),
        ('"channel:duty"', '"channel:dutty"', 9, "policy.a.step[0].to[0]", "no [[channel]] of cloud.toml reaches"),
        ('"channel:duty"', '"chanel:duty"', 9, "policy.a.step[0].to[0]", "'chanel:duty' is none of channel:NAME"),
        ('"channel:duty"', '"staff:li"', 9, "policy.a.step[0].to[0]", "no [[channel]] of cloud.toml reaches"),
        ('"channel:duty"', '"schedule:day"', 9, "policy.a.step[0].to[0]", "'day': there is no such schedule"),
        ('"channel:duty"', '"schedule"', 9, "policy.a.step[0].to[0]", "'schedule' is none of"),
        ('"channel:duty"', '"street-desk:no"', 9, "policy.a.step[0].to[0]", "no [[channel]] of cloud.toml reaches"),
        ('"channel:duty"', '"street-desk:"', 9, "policy.a.step[0].to[0]", "is none of"),
        ('"channel:duty"', '"volunteer:li"', 9, "policy.a.step[0].to[0]", "is none of"),
        ('"channel:duty"', '"call-back:li"', 9, "policy.a.step[0].to[0]", "is none of"),
        ('"channel:duty"', '"everyone", 3', 9, "policy.a.step[0].to[1]", "Expected `str`, got `int`"),
        ('"channel:duty"', "", 9, "policy.a.step[0].to", "a step tells somebody"),
        ("repeat_s = 60", "repeat_s = 60\nvolunteer_s = 1", 6, "policy.a.volunteer_s", "1: must be"),
        ("repeat_s = 60", "repeat_s = 60\nquiet_hours = 3", 6, "policy.a.quiet_hours", "must be a table"),
        ("to = [", "to = [[", 10, "", "not valid TOML"),
        ("[[policy.a.step]]", "[[policy.a.step]", 7, "", "not valid TOML"),
    ],
)
def test_a_wrong_policy_names_line_and_key(old: str, new: str, line: int, key: str, message: str) -> None:
    assert read_policies(GOOD, REACHES).problems == ()
    assert old in GOOD
    reading = read_policies(GOOD.replace(old, new, 1), REACHES)
    assert reading.policies is None
    assert any(
        (problem.line, problem.key) == (line, key) and message in problem.message for problem in reading.problems
    ), [str(problem) for problem in reading.problems]


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "wrong"),
    [
        ('zone = "Europe/Berlin"', 'zone = "Europe/Nowhere"', 15, "schedule.night.zone", Wrong.ZONE),
        ('"mon"', '"monday"', 17, "schedule.night.shift[0].days[0]", Wrong.TYPE),
        ("to = 20:00:00", 'to = "20:00"', 19, "schedule.night.shift[0].to", Wrong.TYPE),
        ("to = 20:00:00", "til = 20:00:00", 19, "schedule.night.shift[0].til", Wrong.UNKNOWN_KEY),
        (
            '"mei"]\n[[schedule.night.rot',
            "]\n[[schedule.night.rot",
            20,
            "schedule.night.shift[0].staff",
            Wrong.NO_STAFF,
        ),
        ('every = "week"', 'every = "month"', 22, "schedule.night.rotation[0].every", Wrong.TYPE),
        ("start = 2026-01-05\n", "", 21, "schedule.night.rotation[0]", Wrong.MISSING_KEY),
        ('"mei", "jun"', '"mei", "li"', 24, "schedule.night.rotation[0].staff[1]", Wrong.UNREACHED),
        ("date = 2026-02-17", "date = 2026-02-30", 26, "", Wrong.SYNTAX),
    ],
)
def test_a_wrong_schedule_names_line_and_key(old: str, new: str, line: int, key: str, wrong: Wrong) -> None:
    assert old in NIGHTS
    problems = read_policies(NIGHTS.replace(old, new, 1), REACHES).problems
    assert (line, key, wrong) in [(each.line, each.key, each.wrong) for each in problems]


def test_a_schedule_without_anybody_is_a_problem() -> None:
    (problem,) = read_policies(f'otherwise = "a"\n{ANY}[schedule.x]\nzone = "UTC"\n').problems
    assert (problem.line, problem.key, problem.wrong) == (8, "schedule.x", Wrong.EMPTY_SCHEDULE)


def test_every_problem_is_found_and_not_the_first_alone() -> None:
    text = GOOD.replace("repeat_s = 60", "repeat_s = 1\nfoo = 2").replace("after_s = 60", 'after_s = "x"')
    text = text.replace('otherwise = "a"', 'otherwise = "b"') + "[policy.b]\nprogress_s = 30\n"
    found = [(problem.line, problem.key, problem.wrong) for problem in read_policies(text, REACHES).problems]
    assert found == [
        (6, "policy.a.foo", Wrong.UNKNOWN_KEY),
        (12, "policy.a.step[1].after_s", Wrong.TYPE),
        (14, "policy.b", Wrong.MISSING_KEY),
        (14, "policy.b", Wrong.MISSING_KEY),
    ]  # `b` is there, with problems of its own; of `a` the values are looked at once its keys are right


def test_a_text_without_end_is_refused_before_it_is_read() -> None:
    problem = Problem(1, "", Wrong.TOO_LONG, {"most": str(MAX_CHARACTERS)})
    assert read_policies("#" * (MAX_CHARACTERS + 1)).problems == (problem,)
    (deep,) = read_policies(f"a = {'[' * 9000}").problems
    assert deep.wrong is Wrong.SYNTAX


def test_a_schedule_becomes_what_the_decision_goes_by() -> None:
    policies = read_policies(NIGHTS, REACHES).policies
    assert policies is not None
    schedule = policies.schedules["night"]
    assert schedule == Schedule(
        (Shift(("mei",), Hours(time(8), time(20)), frozenset({0, 6})),),
        (Rotation(("mei", "jun"), date(2026, 1, 5), 7),),
        (Override(("boss",), date(2026, 2, 17), Hours(time(0), time(12))),),
        ZoneInfo("Europe/Berlin"),
    )
    noon = round(datetime(2026, 1, 13, 11, tzinfo=ZoneInfo("UTC")).timestamp()) * NS
    night = Firing(0, 0, (Target(TargetKind.SCHEDULE, "night"), Target(TargetKind.EVERYONE)), 0)
    assert policies.on_duty(night, noon) == {"night": frozenset({"jun"})}


# --- what stands in the way ---------------------------------------------------------------------------------------


def holds(text: str) -> Holding:
    policies = read_policies(text).policies
    assert policies is not None
    return Holding(policies, 1, 1)


def test_steps_that_reach_nobody_are_told_of() -> None:
    shipped = Holding(SHIPPED, 0, 0)
    assert [str(fault) for fault in policy_faults(shipped, (), NOW)] == [
        "no channel is configured: nobody is told but the console"
    ]
    assert policy_faults(shipped, REACHES, NOW) == []
    assert [str(fault) for fault in policy_faults(shipped, [Reach("duty"), Reach("street")], NOW)] == [
        "policy emergency: the step after 60 s has no channel for contact",
        "policy emergency: the step after 300 s has no channel for volunteer",
    ]


def test_gaps_and_people_whom_no_channel_reaches_are_told_of() -> None:
    held = holds(NIGHTS.replace("start = 2026-01-05", "start = 2027-01-17"))
    faults = policy_faults(held, [Reach("duty", frozenset({"mei", "boss"})), Reach("sms", contacts=True)], NOW)
    assert [fault.kind for fault in faults] == [FaultKind.OFF_LINE, FaultKind.GAP]
    assert faults[0].facts == {"schedule": "night", "staff": "jun"}
    assert str(faults[1]) == (
        "schedule night: nobody is on duty from 2027-01-15 09:00 to 2027-01-17 00:00; everyone is told then"
    )


# --- the versions -------------------------------------------------------------------------------------------------


def put(cloud: Cloud, text: str, base: int, by: str = "boss") -> Saved:
    with cloud.database.transaction() as connection:
        return save(connection, text, base, REACHES, by, NOW)


def held(cloud: Cloud) -> Holding:
    with cloud.database.reading() as connection:
        return holding(connection)


def test_versions_are_saved_one_on_top_of_the_other(cloud: Cloud) -> None:
    assert held(cloud) == Holding(SHIPPED, SHIPPED_VERSION, 0)
    assert put(cloud, GOOD, 0) == Saved(1, NOW, "boss", GOOD)
    with pytest.raises(StalePolicyError, match="boss has saved version 1 meanwhile") as raised:
        put(cloud, shipped_text(), 0, "mei")
    assert raised.value.version == 1
    put(cloud, NIGHTS, 1, "mei")
    with cloud.database.reading() as connection:
        assert newest(connection) == Saved(2, NOW, "mei", NIGHTS)
        assert newest_version(connection) == 2
    assert (held(cloud).version, list(held(cloud).policies.schedules)) == (2, ["night"])
    told = [(row.actor, row.detail) for row in cloud.rows(schema.journal) if row.kind == "policy-saved"]
    assert told == [("boss", {"version": 1}), ("mei", {"version": 2})]


def test_a_text_with_a_problem_is_not_saved(cloud: Cloud) -> None:
    with pytest.raises(PolicyError) as raised:
        put(cloud, GOOD.replace("channel:duty", "channel:dutty"), 0)
    assert [problem.line for problem in raised.value.problems] == [9]
    assert cloud.rows(schema.policy) == []


@pytest.mark.parametrize(("first", "version"), [(GOOD, 1), ("nonsense", 0)])
def test_a_stored_version_that_cannot_be_read_stops_nothing(cloud: Cloud, first: str, version: int) -> None:
    with cloud.database.transaction() as connection:
        for number, text in ((1, first), (2, "= 3"), (3, "otherwise = 1\npolicy = {}")):
            connection.execute(insert(schema.policy).values(version=number, at_ns=NOW, saved_by="x", text=text))
    found = held(cloud)
    assert (found.version, found.newest) == (version, 3)
    assert found.policies.policy_for("emergency", "press", "").steps
    (fault,) = policy_faults(found, REACHES, NOW)
    start = f"policy version 3 cannot be used, version {version} holds instead: line 1: otherwise"
    assert str(fault).startswith(start)


def test_a_policy_that_names_a_channel_of_yesterday_holds_and_is_told_of(cloud: Cloud) -> None:
    put(cloud, GOOD, 0)
    found = held(cloud)
    assert found.version == 1
    (fault,) = policy_faults(found, [Reach("other"), Reach("family", contacts=True)], NOW)
    assert fault.facts == {"policy": "a", "after": "0", "target": "channel:duty"}


# --- channels that fail, and what is old --------------------------------------------------------------------------


def queue(cloud: Cloud, *rows: tuple[str, int, str], age_s: float = 60) -> None:
    """Messages of the channel `duty`: (state, attempts, result)."""
    if not cloud.rows(schema.escalation):
        cloud.take(cloud.gateway.press())
        timer = {"alert_id": 1, "step": 0, "waits_for": "step", "version": 1}
        times = dict.fromkeys(("began_ns", "due_ns", "set_ns", "fired_ns"), NOW)
        with cloud.database.transaction() as connection:
            for climb in range(2 * BATCH):
                connection.execute(insert(schema.escalation).values(climb=climb, **timer, **times))
    first = len(cloud.rows(schema.notification)) + 1
    at_ns = NOW - round(age_s * NS)
    with cloud.database.transaction() as connection:
        for place, (state, attempts, said) in enumerate(rows):
            done = {} if state == "queued" else {"done_ns": at_ns}
            connection.execute(
                insert(schema.notification).values(
                    escalation_id=first + place,
                    alert_id=1,
                    channel="duty",
                    contact=-1,
                    state=state,
                    attempts=attempts,
                    result=said,
                    created_ns=at_ns,
                    next_try_ns=at_ns,
                    **done,
                )
            )


@pytest.mark.parametrize(
    ("rows", "fails"),
    [
        ([], False),
        ([("sent", 1, "ok"), ("failed", 1, "HTTP 401")], False),
        ([("failed", 1, "HTTP 401")], True),
        ([("sent", 1, "ok"), ("failed", 1, "a"), ("failed", 1, "b"), ("queued", 2, "c")], True),
        ([("queued", 2, "HTTP 500")], False),  # it may work the next time
        ([("queued", 3, "HTTP 500")], True),
        ([("queued", 1, "HTTP 500"), ("queued", 2, "HTTP 500")], True),
        ([("queued", 0, ""), ("queued", 1, "")], False),  # not tried, or being tried
        ([("failed", 1, "HTTP 401"), ("dropped", 1, "closed before")], True),
        ([("dropped", 1, "closed before")], False),
        ([("failed", 1, "HTTP 401"), ("sent", 2, "ok")], False),
    ],
)
def test_a_channel_whose_last_messages_all_failed(cloud: Cloud, rows: list[tuple[str, int, str]], fails: bool) -> None:
    if rows:
        queue(cloud, *rows)
    with cloud.database.reading() as connection:
        found = failing_channels(connection, REACHES, NOW)
    assert [(fault.kind, fault.facts["channel"]) for fault in found] == [(FaultKind.CHANNEL, "duty")] * fails


def test_a_failure_of_the_day_before_is_no_news(cloud: Cloud) -> None:
    queue(cloud, ("failed", 1, "HTTP 401"), age_s=25 * 3600)
    with cloud.database.reading() as connection:
        assert failing_channels(connection, REACHES, NOW) == []


def test_old_messages_leave_the_queue_in_batches_and_the_journal_keeps_what_became_of_them(cloud: Cloud) -> None:
    old_s, new_s = (KEPT_DAYS + 1) * 86_400, (KEPT_DAYS - 1) * 86_400
    queue(cloud, *[("sent", 1, "ok")] * (BATCH + 20), ("queued", 1, "x"), ("failed", 1, "x"), age_s=old_s)
    queue(cloud, ("sent", 1, "ok"), age_s=new_s)
    journal = cloud.rows(schema.journal)
    assert [delete_finished(cloud.database, KEPT_DAYS, NOW) for _ in range(3)] == [BATCH, 21, 0]
    assert [row.state for row in cloud.rows(schema.notification)] == ["failed", "sent"]
    (entry,) = cloud.rows(schema.journal)[len(journal) :]
    assert (entry.kind, entry.detail["result"]) == ("not-notified", UNSENT), "its channel is gone: said, and not kept"
    with cloud.database.transaction() as connection:
        connection.execute(update(schema.notification).values(state="sent", done_ns=NOW - round(old_s * NS)))
    assert delete_finished(cloud.database, KEPT_DAYS, NOW) == 2


def test_messages_of_a_channel_that_is_gone_do_not_keep_the_others_in_the_queue_for_ever(cloud: Cloud) -> None:
    old_s = (2 * KEPT_DAYS + 1) * 86_400
    queue(cloud, *[("queued", 0, "")] * BATCH, ("sent", 1, "ok"), age_s=old_s)
    assert delete_finished(cloud.database, KEPT_DAYS, NOW) == 0
    later_ns = NOW + (KEPT_DAYS + 1) * 86_400 * NS
    assert [delete_finished(cloud.database, KEPT_DAYS, later_ns) for _ in range(2)] == [BATCH, 1]
    assert cloud.rows(schema.notification) == []


# --- the commands -------------------------------------------------------------------------------------------------


def test_the_commands_check_save_and_show(cloud: Cloud, tmp_path: Path) -> None:
    config, file = tmp_path / "cloud.toml", tmp_path / "policy.toml"
    config.write_text(f'data_dir = "{tmp_path}"\ndatabase = "{cloud.database.url}"\n', encoding="utf-8")

    def run(*words: str) -> tuple[int, str, str]:
        found = CliRunner().invoke(app, ["policy", *words, "--config", str(config)], standalone_mode=False)
        assert found.exception is None, found.exception
        return found.return_value or 0, found.stdout, found.stderr

    wrong = GOOD.replace("repeat_s = 60", "repeat_s = 1")
    file.write_text(wrong, encoding="utf-8")
    for command in ("check", "save"):
        code, out, err = run(command, str(file))
        assert (code, out) == (2, "")
        assert err.splitlines() == [
            f"{file}:5: policy.a.repeat_s: 1: must be 30 to 2592000 seconds",
            f"{file}:9: policy.a.step[0].to[0]: no [[channel]] of cloud.toml reaches 'channel:duty'",
            f"{file}:12: policy.a.step[1].to[0]: no [[channel]] of cloud.toml reaches 'contact'",
            f"{file}:12: policy.a.step[1].to[1]: no [[channel]] of cloud.toml reaches 'everyone'",
        ]
    code, out, _ = run("check", str(file), "--json")
    assert (code, msgspec.json.decode(out)["problems"][0]["line"]) == (2, 5)
    assert run("show")[1] == shipped_text().rstrip("\n") + "\n"
    orders = f'otherwise = "a"\n{ANY}'.replace("everyone", "call-back")
    file.write_text(orders, encoding="utf-8")
    assert run("check", str(file)) == (0, f"{file}: can be saved.\n", "")
    assert run("save", str(file))[:2] == (0, "Saved: version 1.\n")
    assert run("save", str(file), "--json")[:2] == (0, '{"version":2}\n')
    assert run("show")[1] == orders
    assert held(cloud).version == 2


def test_the_shipped_text_spells_seconds_as_a_person_writes_them() -> None:
    assert "progress_s = 1209600\n" in shipped_text()
