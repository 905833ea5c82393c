"""Who gets in, who may change, and what nobody is told."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from hearthline.clock import NS
from hearthline.errors import RefusedError
from hearthline_cloud import schema
from hearthline_cloud.guarding import Guard, Lane, Source, delay_s
from hearthline_cloud.people import Accounts, LoginError, People, ThrottledError, hash_token
from web.seeding import PASSWORD, Center

NOW = 1_800_000_000 * NS


def test_a_session_is_only_a_hash_in_the_database(center: Center) -> None:
    token, session = center.people.log_in("mei", PASSWORD, "127.0.0.1", NOW)
    with center.database.reading() as connection:
        stored = connection.execute(select(schema.session)).one()
        hashed = connection.execute(select(schema.staff.c.password_hash)).scalars().first()
    assert token not in str(stored)
    assert stored.token_hash == session.token_hash == hash_token(token)
    assert hashed is not None
    assert hashed.startswith("$argon2id$")


def test_a_session_ends_by_time_by_logout_and_with_a_new_password(center: Center) -> None:
    people = center.people
    token, session = people.log_in("mei", PASSWORD, "a", NOW)
    for half_hours in range(24):  # somebody works with it
        assert people.sessions.find(token, NOW + half_hours * 1800 * NS) == session
    assert people.sessions.find(token, NOW + 12 * 3600 * NS - 1) == session
    assert people.sessions.find(token, NOW + 12 * 3600 * NS) is None
    people.sessions.end(session.token_hash)
    assert people.sessions.find(token, NOW) is None
    token, _ = people.log_in("mei", PASSWORD, "a", NOW)
    people.accounts.set_password("mei", "another long one", NOW)
    assert people.sessions.find(token, NOW) is None


def test_a_session_that_nobody_uses_ends_a_screens_does_not(center: Center) -> None:
    people = center.people
    token, _ = people.log_in("mei", PASSWORD, "a", NOW)
    screen, _ = people.log_in("wall", PASSWORD, "a", NOW)
    assert people.sessions.find(token, NOW + 3599 * NS) is not None
    assert people.sessions.find(token, NOW + 2 * 3600 * NS - 2 * NS) is not None
    assert people.sessions.find(token, NOW + 3 * 3600 * NS) is None
    assert people.sessions.find(screen, NOW + 89 * 86_400 * NS) is not None


def test_a_session_of_a_clock_that_was_ahead_does_not_live_on(center: Center) -> None:
    people, years = center.people, 5 * 365 * 86_400 * NS
    ahead, _ = people.log_in("mei", PASSWORD, "a", NOW + years)
    assert people.sessions.find(ahead, NOW + years) is not None
    assert people.sessions.find(ahead, NOW) is None
    people.log_in("jun", PASSWORD, "a", NOW)
    with center.database.reading() as connection:
        assert connection.execute(select(schema.session.c.staff_name)).scalars().all() == ["jun"]


def test_what_changes_an_account_ends_its_sessions(center: Center) -> None:
    people = center.people
    changes: list[Callable[[], None]] = [
        lambda: people.accounts.set_role("mei", "nurse", NOW),
        lambda: people.accounts.set_communities("mei", ["c-1"], NOW),
        lambda: people.accounts.set_communities("mei", None, NOW),
        lambda: people.accounts.log_out_everywhere("mei", NOW),
        lambda: people.accounts.set_disabled("mei", True, NOW),
    ]
    other, _ = people.log_in("jun", PASSWORD, "a", NOW)
    for change in changes:
        token, _ = people.log_in("mei", PASSWORD, "a", NOW)
        change()
        assert people.sessions.find(token, NOW) is None
    with pytest.raises(LoginError):
        people.log_in("mei", PASSWORD, "a", NOW)
    people.accounts.set_disabled("mei", False, NOW)
    people.log_in("mei", PASSWORD, "a", NOW)
    assert people.sessions.find(other, NOW) is not None
    with center.database.reading() as connection:
        told = connection.execute(select(schema.journal.c.detail).where(schema.journal.c.kind == "account")).scalars()
        assert {"account": "mei", "disabled": True} in list(told)


def test_impossible_changes_of_an_account_are_refused(center: Center) -> None:
    people = center.people
    changes: tuple[Callable[[], None], ...] = (
        lambda: people.accounts.set_role("nobody", "nurse", NOW),
        lambda: people.accounts.set_role("mei", "king", NOW),
        lambda: people.accounts.set_communities("mei", ["c-9"], NOW),
        lambda: people.accounts.set_disabled("nobody", True, NOW),
    )
    for change in changes:
        with pytest.raises(RefusedError):
            change()
    assert {each.name: each.communities for each in people.accounts.all(NOW)}["mei"] is None


def test_a_wrong_password_and_an_unknown_name_are_told_apart_by_nothing(center: Center) -> None:
    for name, password in (("mei", "wrong password"), ("nobody", PASSWORD), ("", ""), ("mei", "x" * 5000)):
        with pytest.raises(LoginError, match="the name or the password is wrong"):
            center.people.log_in(name, password, "a", NOW)


def test_guessing_is_slowed_for_a_name_and_an_address(center: Center) -> None:
    for _ in range(10):
        with pytest.raises(LoginError):
            center.people.log_in("mei", "wrong password", "a", NOW)
    with pytest.raises(ThrottledError):
        center.people.log_in("MEI", PASSWORD, "a", NOW)
    center.people.log_in("mei", PASSWORD, "another address", NOW)
    center.people.log_in("mei", PASSWORD, "a", NOW + 61 * NS)


def test_who_hammers_a_name_slows_himself_and_not_the_desk(center: Center) -> None:
    """From a thousand addresses, for an hour: neither her own browser nor a new one is kept out."""
    people = center.people
    device = people.sessions.remember_device("mei", NOW)
    guard = people.guard
    for number in range(1000):
        guard.wait_s(Source("mei", f"10.0.{number % 200}.1", Lane.UNKNOWN), NOW + number * NS)
    now = NOW + 1001 * NS
    guard.wait_s(Source("mei", "10.0.1.1", Lane.UNKNOWN), now)
    assert guard.wait_s(Source("mei", "10.0.1.1", Lane.UNKNOWN), now) > 0
    people.log_in("mei", PASSWORD, "10.0.1.1", now, device)  # behind one address with whoever hammers
    people.log_in("mei", PASSWORD, "192.0.2.7", now)  # a new place: its first attempt never waits
    with pytest.raises(ThrottledError):
        people.log_in("mei", PASSWORD, "10.0.1.1", now, "another's browser")
    people.accounts.set_password("mei", PASSWORD, now)
    with pytest.raises(ThrottledError):  # with a new password no browser is known any more
        people.log_in("mei", PASSWORD, "10.0.1.1", now, device)


class Overtaken(Accounts):
    """Accounts in which something happens between the look at a password and the session that it opens."""

    meanwhile: Callable[[Accounts], None]

    def right_password(self, name: str, password: str) -> str | None:
        found = super().right_password(name, password)
        self.meanwhile(self)
        return found


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda accounts: accounts.set_password("mei", "another long one", NOW),
        lambda accounts: accounts.set_disabled("mei", True, NOW),
    ],
)
def test_a_login_is_overtaken_by_a_new_password_and_by_a_closed_account(
    center: Center, meanwhile: Callable[[Accounts], None]
) -> None:
    """Its session would outlive the change that ended every session."""
    center.people.accounts = overtaken = Overtaken(center.database)
    overtaken.meanwhile = meanwhile
    with pytest.raises(LoginError):
        center.people.log_in("mei", PASSWORD, "a", NOW)
    overtaken.set_disabled("mei", False, NOW)
    with center.database.reading() as connection:
        assert connection.execute(select(schema.session)).first() is None


def test_attempts_of_one_moment_are_counted_one_by_one() -> None:
    """A name that is attacked lets one attempt of a source through, however many come at once."""
    guard, passed = Guard(), []
    for number in range(60):
        guard.wait_s(Source("mei", f"10.0.0.{number}", Lane.UNKNOWN), NOW)
    start = threading.Barrier(8)

    def attempt() -> None:
        start.wait()
        passed.append(guard.wait_s(Source("mei", "192.0.2.7", Lane.UNKNOWN), NOW + NS))

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(wait > 0 for wait in passed) == [False] + [True] * 7


def test_two_logins_around_a_clock_that_is_set_back_both_succeed() -> None:
    guard, before, after = Guard(), Source("mei", "a", Lane.UNKNOWN), Source("mei", "b", Lane.UNKNOWN)
    assert guard.wait_s(before, NOW) == 0
    assert guard.wait_s(after, NOW - 3600 * NS) == 0
    guard.succeeded(after)
    guard.succeeded(before)
    assert guard.wait_s(before, NOW - 3600 * NS) == 0


def test_right_logins_never_slow_a_name(center: Center) -> None:
    for _ in range(30):
        center.people.log_in("mei", PASSWORD, "a", NOW)


@pytest.mark.parametrize(("attempts", "wait"), [(0, 0), (9, 0), (10, 2), (20, 4), (50, 32), (60, 60), (10_000, 60)])
def test_the_delay_of_a_name_grows_to_a_minute(attempts: int, wait: float) -> None:
    assert delay_s(attempts) == wait


def test_many_logins_at_once_leave_threads_for_alarms(center: Center) -> None:
    crowd = [threading.Thread(target=_try_to_log_in, args=(center, number)) for number in range(40)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    center.people.log_in("mei", PASSWORD, "a", NOW)


def _try_to_log_in(center: Center, number: int) -> None:
    with pytest.raises((LoginError, ThrottledError)):
        center.people.log_in(f"ghost-{number}", "wrong password", "a", NOW)


@pytest.mark.parametrize(
    ("name", "password", "role"),
    [("mei", PASSWORD, "operator"), ("", PASSWORD, "operator"), ("x", "short", "operator"), ("x", PASSWORD, "king")],
)
def test_impossible_accounts_are_refused(center: Center, name: str, password: str, role: str) -> None:
    with pytest.raises(RefusedError):
        People(center.database).accounts.add(name, password, role, NOW)


def test_nothing_is_told_without_a_session(served: Center) -> None:
    schema_of_api = served.client("mei").request("GET", "/api/v1/openapi.json").json()
    stranger = served.client()
    for path, methods in schema_of_api["paths"].items():
        if path in (
            "/api/v1/login",
            "/api/v1/enrolment",
            "/healthz",
            "/readyz",
            "/login",
        ):  # each has a proof of its own
            continue
        for method in methods:
            url = path.replace("{alert_id}", "1").replace("{resident_id}", "r-1").replace("{home_id}", "h-1")
            answer = stranger.request(method.upper(), url, {} if method == "post" else None)
            assert (path, answer.status) == (path, 401)
            assert answer.json()["error"]["code"] == "not-logged-in"


def test_roles(served: Center) -> None:
    assert served.client("mei").get("residents/r-1").status == 200
    assert served.client("mei").get("audit").status == 403
    entries = served.client("boss").get("audit").json()
    assert [(item["staff"], item["action"], item["subject"]) for item in entries] == [("mei", "card-shown", "r-1")]


def test_a_lost_role_and_a_lost_account_end_what_they_allowed(served: Center) -> None:
    boss = served.client("boss")
    with served.database.transaction() as connection:
        connection.execute(update(schema.staff).where(schema.staff.c.name == "boss").values(role="operator"))
    assert boss.get("audit").status == 403


def test_the_cookie_and_its_flags(served: Center) -> None:
    answer = served.client().post("login", {"name": "mei", "password": PASSWORD})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie  # loopback without TLS; `secure_cookies` adds it
    assert answer.json()["token"] in cookie


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"x-hearthline": "1"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "x-hearthline": "1"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "own"}, 200),
    ],
)
def test_a_change_by_cookie_must_come_from_our_own_pages(served: Center, headers: dict[str, str], status: int) -> None:
    alert = served.press()
    token = served.client("mei").token
    sent = {name: served.url if value == "own" else value for name, value in headers.items()}
    sent["cookie"] = f"hearthline_session={token}"
    answer = served.client().request("POST", f"/api/v1/alerts/{alert}/acknowledge", {}, sent)
    assert answer.status == status


def test_a_login_from_another_site_is_refused(served: Center) -> None:
    body = {"name": "mei", "password": PASSWORD}
    answer = served.client().request("POST", "/api/v1/login", body, {"origin": "http://evil.example"})
    assert answer.status == 403


def test_errors_have_one_shape_and_leak_nothing(served: Center) -> None:
    mei = served.client("mei")
    secret = "verysecret"
    for answer in (
        mei.get("nowhere"),
        mei.get("residents/unknown"),
        mei.get("alerts", limit=secret),
        mei.request("DELETE", "/api/v1/alerts"),
        mei.request("POST", "/api/v1/alerts/1/notes", b'{"text": 5, "verysecret'),
        mei.get("readings", quantity="power", **{"from": secret}),
        served.client().post("login", {"name": secret, "password": secret}),
    ):
        assert answer.status >= 400
        assert set(answer.json()) == {"error"}
        assert set(answer.json()["error"]) == {"code", "message"}
        assert secret not in answer.data.decode()


def test_large_requests_are_refused_announced_or_not(served: Center) -> None:
    mei = served.client("mei")
    assert mei.request("POST", "/api/v1/alerts/1/notes", b"x" * 70_000).status == 413
    chunks = iter([b"x" * 10_000] * 8)
    answer = mei._pool.request(
        "POST", f"{served.url}/api/v1/login", body=chunks, headers={"content-type": "application/json"}, chunked=True
    )
    assert answer.status == 413


def test_every_answer_carries_the_security_headers(served: Center) -> None:
    for path in ("/healthz", "/api/v1/alerts", "/api/v1/nowhere", "/login"):
        headers = served.client("mei").request("GET", path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_the_throttle_answers_429(served: Center) -> None:
    stranger = served.client()
    statuses = [stranger.post("login", {"name": "ghost", "password": "guess"}).status for _ in range(11)]
    assert statuses == [401] * 10 + [429]
