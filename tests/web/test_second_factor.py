"""The second factor: codes that are good once, what a thief of the password can do, and that nobody is locked out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pyotp
import pytest
from sqlalchemy import select, update

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.database import Database
from hearthline_cloud.people import (
    CodeError,
    CodeNeededError,
    EnrolFirstError,
    LoginError,
    People,
    StepOverError,
    ThrottledError,
)
from hearthline_cloud.people.codes import (
    RECOVERY_CODES,
    STEP_S,
    fresh_step,
    new_recovery_codes,
    provisioning_uri,
    recovery_code,
)
from hearthline_cloud.people.login import CODES_A_STEP, CODES_AN_HOUR
from hearthline_cloud.people.sealing import UnreadableError, destroy, opened, seal
from hearthline_cloud.permissions import Role
from hearthline_cloud.personal.column import bind
from hearthline_cloud.personal.keys import Keyring, new_key
from web.seeding import PASSWORD, Center
from web.visitor import Visitor

NOW = 1_800_000_000 * NS
STEP = STEP_S * NS
_RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890", of RFC 6238 appendix B


class Phone:
    """What the app shows at a moment."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def code(self, now_ns: int) -> str:
        return pyotp.TOTP(self._secret).at(now_ns // NS)


def staff(center: Center, required: tuple[Role, ...] = ()) -> People:
    return People(center.database, required=required)


def enrolled(people: People, name: str = "mei", now_ns: int = NOW) -> tuple[Phone, list[str]]:
    """Who has set a factor up a while before `now_ns`."""
    then = now_ns - 3600 * NS
    _, session = people.log_in(name, PASSWORD, "a", then)
    people.factors.offer(session, then)
    secret = people.factors.offered(session, then)
    assert secret is not None
    codes = people.factors.confirm(session, Phone(secret).code(then), then)
    assert codes is not None
    return Phone(secret), codes


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "94287082"), (1111111109, "07081804"), (1234567890, "89005924"), (20000000000, "65353130")],
)
def test_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    """The RFC prints eight digits; six are the last of them."""
    assert fresh_step(_RFC_SECRET, code[-6:], 0, seconds * NS) == seconds // STEP_S


@pytest.mark.parametrize(("steps", "is_good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_phone_may_be_off_by_one_step(steps: int, is_good: bool) -> None:
    code = Phone(_RFC_SECRET).code(NOW + steps * STEP)
    assert (fresh_step(_RFC_SECRET, code, 0, NOW) is not None) == is_good


@pytest.mark.parametrize("odd", ["", "12345", "1234567", "12345a", "１２３４５６", "-12345", "000000" * 10])
def test_what_is_no_code_is_none(odd: str) -> None:
    assert fresh_step(_RFC_SECRET, odd, 0, NOW) is None


def test_a_code_is_good_once_and_none_before_it_either() -> None:
    code, step = Phone(_RFC_SECRET).code(NOW), NOW // STEP
    assert fresh_step(_RFC_SECRET, f"{code[:3]} {code[3:]}", step - 1, NOW) == step
    assert fresh_step(_RFC_SECRET, code, step, NOW) is None
    assert fresh_step(_RFC_SECRET, Phone(_RFC_SECRET).code(NOW - STEP), step, NOW) is None


def test_a_clock_that_was_ahead_keeps_nobody_out() -> None:
    """Five minutes are waited for; a year is not."""
    code, step = Phone(_RFC_SECRET).code(NOW), NOW // STEP
    assert fresh_step(_RFC_SECRET, code, step + 10, NOW) is None
    assert fresh_step(_RFC_SECRET, code, step + 11, NOW) == step
    assert fresh_step(_RFC_SECRET, code, step + 365 * 2880, NOW) == step


def test_recovery_codes_are_read_as_people_write_them() -> None:
    made = new_recovery_codes()
    assert len(set(made)) == RECOVERY_CODES
    for code in made:
        assert recovery_code(f" {code.upper().replace('-', ' ')} ") == code.replace("-", "")
    assert recovery_code("123456") is None


def test_what_an_app_is_told_names_the_account() -> None:
    assert provisioning_uri(_RFC_SECRET, "mei li").startswith("otpauth://totp/Hearthline:mei%20li?secret=GEZD")


def test_a_sealed_secret_opens_for_its_account_alone(center: Center) -> None:
    with center.database.transaction() as connection:
        sealed = seal(connection, "mei", "SECRET")
        assert opened(connection, "mei", sealed) == "SECRET"
        assert "SECRET" not in sealed
        assert seal(connection, "mei", "SECRET") != sealed
        for name, text in (("jun", sealed), ("mei", "not sealed!"), ("mei", sealed[:-4] + "AAA=")):
            with pytest.raises(UnreadableError):
                opened(connection, name, text)
        destroy(connection, "mei")
        with pytest.raises(UnreadableError):
            opened(connection, "mei", sealed)


def test_the_database_alone_makes_no_code_and_holds_no_recovery_code(center: Center) -> None:
    people = staff(center)
    _, session = people.log_in("mei", PASSWORD, "a", NOW)
    people.factors.offer(session, NOW)
    secret = people.factors.offered(session, NOW)
    assert secret is not None
    codes = people.factors.confirm(session, Phone(secret).code(NOW), NOW)
    assert codes is not None
    with center.database.reading() as connection:
        kept = [str(connection.execute(select(table)).all()) for table in schema.metadata.sorted_tables]
    assert any("hearthline" in text or "mei" in text for text in kept)
    for told in (secret, *(code.replace("-", "") for code in codes), *codes):
        assert not any(told in text for text in kept)


def test_a_login_needs_the_code_and_takes_each_once(center: Center) -> None:
    people = staff(center)
    phone, _ = enrolled(people)
    with pytest.raises(CodeNeededError):
        people.log_in("mei", PASSWORD, "a", NOW)
    with pytest.raises(LoginError, match="name or the password"):  # says nothing of the factor
        people.log_in("mei", "wrong password", "a", NOW, code=phone.code(NOW))
    with pytest.raises(CodeError):
        people.log_in("mei", PASSWORD, "a", NOW, code="000000")
    token, session = people.log_in("mei", PASSWORD, "a", NOW, code=phone.code(NOW))
    assert people.sessions.find(token, NOW) == session
    with pytest.raises(CodeError):
        people.log_in("mei", PASSWORD, "a", NOW, code=phone.code(NOW))
    people.log_in("mei", PASSWORD, "a", NOW + STEP, code=phone.code(NOW + STEP))
    people.log_in("jun", PASSWORD, "a", NOW)  # who has none needs none


def test_a_code_sent_twice_at_once_opens_one_session(center: Center) -> None:
    people = staff(center)
    phone, _ = enrolled(people)
    opened: list[str] = []
    start = threading.Barrier(4)

    def attempt() -> None:
        token, _ = people.first_step("mei", PASSWORD, "a", NOW)
        start.wait()
        try:
            opened.append(people.second_step(token, phone.code(NOW), NOW)[0])
        except CodeError:
            pass

    threads = [threading.Thread(target=attempt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 1


def test_no_session_before_the_second_step(center: Center) -> None:
    people = staff(center)
    phone, _ = enrolled(people)
    token, session = people.first_step("mei", PASSWORD, "a", NOW)
    assert session is None
    assert people.sessions.find(token, NOW) is None
    opened, _ = people.second_step(token, phone.code(NOW), NOW)
    assert people.sessions.find(opened, NOW) is not None
    with pytest.raises(StepOverError):
        people.second_step(token, phone.code(NOW + STEP), NOW + STEP)


def test_a_second_step_ends_by_time_by_wrong_codes_and_with_the_password(center: Center) -> None:
    people = staff(center)
    phone, _ = enrolled(people)
    late, _ = people.first_step("mei", PASSWORD, "a", NOW)
    with pytest.raises(StepOverError):
        people.second_step(late, phone.code(NOW + 300 * NS), NOW + 300 * NS)
    ahead, _ = people.first_step("mei", PASSWORD, "a", NOW + 86_400 * NS)
    assert not people.awaits_code(ahead, NOW)
    tried, _ = people.first_step("mei", PASSWORD, "a", NOW)
    for _ in range(CODES_A_STEP):
        with pytest.raises(CodeError):
            people.second_step(tried, "000000", NOW)
    with pytest.raises(StepOverError):
        people.second_step(tried, phone.code(NOW), NOW)
    changed, _ = people.first_step("mei", PASSWORD, "a", NOW)
    people.accounts.set_password("mei", "another long one", NOW)
    with pytest.raises(StepOverError):
        people.second_step(changed, phone.code(NOW), NOW)
    with pytest.raises(StepOverError):
        people.second_step("made up", phone.code(NOW), NOW)


def test_who_has_stolen_the_password_guesses_little_and_keeps_nobody_out(center: Center) -> None:
    people = staff(center)
    phone, codes = enrolled(people)
    device = people.sessions.remember_device("mei", NOW)
    for number in range(CODES_AN_HOUR):
        with pytest.raises(CodeError):
            people.log_in("mei", PASSWORD, f"10.0.0.{number}", NOW + number * NS, code="000000")
    now = NOW + 60 * NS
    with pytest.raises(ThrottledError):
        people.log_in("mei", PASSWORD, "192.0.2.7", now, code=phone.code(now))
    people.log_in("mei", PASSWORD, "192.0.2.7", now, device, phone.code(now))  # her own browser
    people.log_in("mei", PASSWORD, "192.0.2.8", now, code=codes[0])  # her paper, anywhere
    later = now + 3600 * NS
    people.log_in("mei", PASSWORD, "192.0.2.9", later, code=phone.code(later))
    with center.database.reading() as connection:
        told = connection.execute(select(schema.journal.c.detail)).scalars().all()
    assert told.count({"account": "mei", "second_factor": "wrong code"}) == CODES_AN_HOUR


def test_right_codes_are_never_too_many(center: Center) -> None:
    people = staff(center)
    phone, _ = enrolled(people)
    for number in range(CODES_AN_HOUR + 5):
        at = NOW + number * STEP
        people.log_in("mei", PASSWORD, "a", at, code=phone.code(at))


def test_a_recovery_code_opens_once(center: Center) -> None:
    people = staff(center)
    _, codes = enrolled(people)
    enrolled(people, "jun")
    people.log_in("mei", PASSWORD, "a", NOW, code=codes[3].upper())
    for wrong, name in ((codes[3], "mei"), (codes[4], "jun"), (new_recovery_codes()[0], "mei")):
        with pytest.raises(CodeError):
            people.log_in(name, PASSWORD, "a", NOW, code=wrong)
    assert people.factors.standing("mei").recovery_codes == RECOVERY_CODES - 1
    fresh = people.factors.renew_recovery_codes("mei", NOW)
    with pytest.raises(CodeError):
        people.log_in("mei", PASSWORD, "a", NOW, code=codes[4])
    people.log_in("mei", PASSWORD, "a", NOW, code=fresh[0])


def test_a_secret_counts_for_nothing_before_it_is_confirmed(center: Center) -> None:
    people = staff(center)
    token, session = people.log_in("mei", PASSWORD, "a", NOW)
    _, other = people.log_in("mei", PASSWORD, "b", NOW)
    people.factors.offer(session, NOW)
    secret = people.factors.offered(session, NOW)
    assert secret is not None
    assert people.factors.offered(other, NOW) is None, "another session of hers is shown nothing"
    people.log_in("mei", PASSWORD, "a", NOW)
    assert people.factors.confirm(session, "000000", NOW) is None
    assert people.factors.confirm(other, Phone(secret).code(NOW), NOW) is None
    late = NOW + 15 * 60 * NS
    assert people.factors.confirm(session, Phone(secret).code(late), late) is None
    assert people.sessions.find(token, NOW) is not None
    assert people.factors.confirm(session, Phone(secret).code(NOW), NOW) is not None
    assert people.sessions.find(token, NOW) is None, "what was open without it has ended"


def test_another_phone_takes_over_only_with_its_code(center: Center) -> None:
    people = staff(center)
    phone, _ = enrolled(people)
    _, session = people.log_in("mei", PASSWORD, "a", NOW, code=phone.code(NOW))
    people.factors.offer(session, NOW)
    later = NOW + STEP
    people.log_in("mei", PASSWORD, "a", later, code=phone.code(later))
    secret = people.factors.offered(session, later)
    assert secret is not None
    assert people.factors.confirm(session, Phone(secret).code(later), later) is not None
    now = later + 2 * STEP
    with pytest.raises(CodeError):
        people.log_in("mei", PASSWORD, "a", now, code=phone.code(now))
    people.log_in("mei", PASSWORD, "a", now, code=Phone(secret).code(now))


def test_a_login_by_the_password_alone_is_overtaken_by_a_factor(center: Center) -> None:
    """The password was looked at before the factor was confirmed, the session would open after."""
    people = staff(center)
    enrolled(people)
    with center.database.reading() as connection:
        hashed = connection.execute(select(schema.staff.c.password_hash).where(schema.staff.c.name == "mei")).scalar()
    assert people.sessions.open("mei", NOW, password_hash=hashed, with_factor=False) is None


def test_a_lost_key_locks_out_nobody_with_a_recovery_code_or_an_administrator(center: Center) -> None:
    phone, codes = enrolled(staff(center))
    elsewhere = Database(center.database.url)
    bind(elsewhere.engine, Keyring([new_key()]))
    restored = People(elsewhere)
    with pytest.raises(UnreadableError, match="recovery code"):
        restored.log_in("mei", PASSWORD, "a", NOW, code=phone.code(NOW))
    restored.log_in("mei", PASSWORD, "a", NOW, code=codes[0])
    restored.factors.remove("mei", NOW, "boss")
    restored.log_in("mei", PASSWORD, "a", NOW)
    elsewhere.close()


def test_a_reset_ends_everything_and_stands_in_the_journal(center: Center) -> None:
    people = staff(center, (Role.OPERATOR,))
    by_command = People(center.database)
    token, _ = people.first_step("mei", PASSWORD, "a", NOW - 7200 * NS)
    assert people.sessions.find(token, NOW - 7200 * NS) is not None
    plain = staff(center)
    phone, codes = enrolled(plain)
    token, _ = people.log_in("mei", PASSWORD, "a", NOW, code=phone.code(NOW))
    by_command.factors.remove("mei", NOW, "command line: root")
    assert people.sessions.find(token, NOW) is None
    with pytest.raises(EnrolFirstError):
        people.log_in("mei", PASSWORD, "a", NOW, code=codes[0])
    with center.database.reading() as connection:
        told = connection.execute(select(schema.journal.c.actor, schema.journal.c.detail)).all()
        assert connection.execute(select(schema.recovery_code)).first() is None
    assert ("command line: root", {"account": "mei", "second_factor": "reset"}) in [tuple(row) for row in told]


# --- pages and API ---------------------------------------------------------------------------------------------------


@pytest.fixture
def strict(center: Center) -> Iterator[str]:
    """The address of a served center whose administrators need a second factor."""
    center.second_factor = [Role.ADMINISTRATOR]
    with center.serving():
        yield center.url


def test_who_needs_one_is_led_to_it_and_can_do_nothing_else(center: Center, strict: str) -> None:
    boss = Visitor(strict)
    assert boss.log_in("boss").headers["location"] == "/account/second-factor"
    for path in ("/", "/account", "/staff", "/homes", "/wall", "/residents/r-1", "/history.csv"):
        assert boss.get(path).headers["location"] == "/account/second-factor", path
    for path in ("/api/v1/alerts", "/api/v1/stream", "/fragments/alerts", "/api/v1/openapi.json"):
        answer = boss.client.get(path, headers={"accept": "application/json"})
        assert answer.status_code == (200 if path.endswith("openapi.json") else 403), path
        assert "王秀兰" not in answer.text
    assert (
        boss.client.get("/api/v1/alerts", headers={"accept": "*/*"}).json()["error"]["code"] == "second-factor-needed"
    )
    assert boss.post("/staff", name="eve", role="administrator", everywhere="true").status_code == 303
    assert boss.post("/account/password", password=PASSWORD, new="x" * 12, again="x" * 12).status_code == 303
    assert {each.name for each in center.people.accounts.all(NOW)} == {"mei", "jun", "boss", "wall"}
    shown = boss.get("/account/second-factor").text
    assert "console.js" not in shown
    assert "/homes" not in shown
    before = boss.token
    assert boss.enrol().status_code == 200
    assert len(boss.recovery) == RECOVERY_CODES
    assert boss.token != before
    assert boss.get("/staff").status_code == 200
    assert center.people.sessions.find(before or "", NOW) is None


def test_a_session_of_before_the_rule_is_led_to_it_too(center: Center) -> None:
    token, _ = center.people.log_in("boss", PASSWORD, "a", time.time_ns())
    center.second_factor = [Role.ADMINISTRATOR]
    with center.serving():
        boss = Visitor(center.url)
        boss.token = token
        assert boss.get("/staff").headers["location"] == "/account/second-factor"


def test_login_in_two_steps(strict: str) -> None:
    boss = Visitor(strict)
    boss.log_in("boss")
    boss.enrol()
    other = Visitor(strict)
    other.secret, other.used = boss.secret, boss.used
    assert other.get("/login/code").headers["location"] == "/login"
    answer = other.log_in("boss")
    assert answer.headers["location"] == "/login/code"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert other.token is None
    assert other.get("/").headers["location"] == "/login"
    assert other.post("/login/code", code="000000").status_code == 401
    done = other.post("/login/code", code=other.code())
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert other.get("/staff").status_code == 200
    assert other.get("/login/code").headers["location"] == "/login"
    third = Visitor(strict)
    third.log_in("boss")
    for _ in range(CODES_A_STEP - 1):
        assert third.post("/login/code", code="000000").status_code == 401
    assert third.post("/login/code", code="000000").headers["location"] == "/login?again=true"
    assert third.post("/login/code", code=boss.recovery[0]).headers["location"] == "/login?again=true"
    third.log_in("boss")
    assert third.post("/login/code", code=boss.recovery[0]).headers["location"] == "/"


def test_a_code_from_another_site_is_refused(strict: str) -> None:
    visitor = Visitor(strict)
    answer = visitor.client.post("/login/code", data={"code": "1"}, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


def test_the_api_takes_all_three_at_once(center: Center, strict: str) -> None:
    boss = Visitor(strict)
    boss.log_in("boss")
    machine = Visitor(strict).client
    body: dict[str, str] = {"name": "boss", "password": PASSWORD}
    refused = machine.post("/api/v1/login", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "second-factor-needed")
    assert "set-cookie" not in refused.headers
    boss.enrol()
    for more, code in (({}, "code-needed"), ({"code": "000000"}, "wrong-code")):
        refused = machine.post("/api/v1/login", json=body | more)
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, code)
    wrong = machine.post("/api/v1/login", json=body | {"password": "wrong password", "code": boss.recovery[0]})
    assert wrong.json()["error"]["code"] == "wrong-login"
    opened = machine.post("/api/v1/login", json=body | {"code": boss.code()})
    assert opened.status_code == 200
    headers = {"authorization": f"Bearer {opened.json()['token']}"}
    machine.cookies.clear()
    assert machine.get("/api/v1/audit", headers=headers).status_code == 200


def test_what_is_done_with_a_factor_needs_password_and_code(strict: str) -> None:
    mei = Visitor(strict)
    mei.log_in("mei")
    mei.enrol()
    for path in ("/account/second-factor", "/account/second-factor/codes", "/account/second-factor/remove"):
        for form in ({}, {"password": PASSWORD}, {"password": "wrong password", "code": mei.recovery[0]}):
            assert mei.post(path, **form).status_code == 422, (path, form)
    kept = mei.recovery[1:]
    again = mei.post("/account/second-factor/codes", password=PASSWORD, code=mei.recovery[0])
    assert again.status_code == 200
    assert not any(code in again.text for code in kept)
    answer = mei.post("/account/second-factor/remove", password=PASSWORD, code=mei.code())
    assert answer.headers["location"] == "/account?done=removed"
    assert "No second factor" in mei.get("/account?done=removed").text


def test_a_role_that_needs_one_cannot_remove_it(strict: str) -> None:
    boss = Visitor(strict)
    boss.log_in("boss")
    boss.enrol()
    assert "remove" not in boss.get("/account/second-factor").text.lower()
    answer = boss.post("/account/second-factor/remove", password=PASSWORD, code=boss.recovery[0])
    assert answer.status_code == 422
    assert "may not be without" in answer.text


def test_the_secret_is_shown_to_the_session_that_asked_and_not_for_ever(center: Center, strict: str) -> None:
    mei, other = Visitor(strict), Visitor(strict)
    mei.log_in("mei")
    other.log_in("mei")
    assert mei.post("/account/second-factor", password=PASSWORD).status_code == 303
    shown = mei.get("/account/second-factor/new")
    assert '<svg viewBox="' in shown.text
    assert "style=" not in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert other.get("/account/second-factor/new").headers["location"] == "/account/second-factor"
    with center.database.transaction() as connection:
        connection.execute(update(schema.second_factor).values(offered_ns=schema.second_factor.c.offered_ns - 900 * NS))
    assert mei.get("/account/second-factor/new").headers["location"] == "/account/second-factor"
