"""Every route, as every role, of every community: against the real application over a socket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3
from fastapi import FastAPI
from fastapi.routing import APIRoute

from hearthline.clock import NS
from hearthline_cloud.api.access import PLACES, authorize
from hearthline_cloud.api.pace import paced
from hearthline_cloud.permissions import GRANTED, ROUTES, Permission, Role, may
from hearthline_cloud.store import Point
from web.client import Client
from web.seeding import Center
from web.two_communities import NONE, OTHER, OWN, PLANTED, PLANTED_OTHER, SCOPES, logged_in, settle

PUBLIC = {
    "GET /login", "POST /login", "GET /login/code", "POST /login/code", "POST /language", "POST /api/v1/login",
    "GET /healthz", "GET /readyz", "POST /api/v1/enrolment",
    "GET /f/{token}", "POST /f/{token}", "GET /v/{token}", "HEAD /v/{token}", "POST /v/{token}/open",
    "POST /v/{token}/go", "POST /v/{token}/arrive", "POST /v/{token}/decline", "POST /v/{token}/report",
}  # fmt: skip
NO_ROUTES = {"/api/v1/openapi.json"}  # the document of the API, which tells of nobody
STREAM = "GET /api/v1/stream"
LOGINS = {"GET /login", "POST /login", "POST /api/v1/login"}  # whoever is logged in is led on
ENDS = ("POST /logout", "POST /api/v1/logout", "POST /account/sessions/end")  # the session that asks
NAMES = {
    "resident_id": "r-1", "community_id": "c-1", "home_id": "h-1", "gateway_id": "gw-east-1", "token": "x",
    "action": "accept",
}  # fmt: skip
QUERIES = {
    "/api/v1/readings": "?quantity=power",
    "/api/v1/protection": "?month=2026-11",
    "/api/v1/protection.csv": "?month=2026-11",
}
NEEDS_A_PLACE = "/api/v1/readings"  # of an account of some communities


def walk(routes: Any) -> Iterator[Any]:
    """The routes of an application, also those that FastAPI keeps in the routers that it included."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is None:
            yield route
        else:
            yield from walk(inner.routes)


def declared(app: FastAPI) -> dict[str, APIRoute]:
    return {
        f"{method} {route.path}": route
        for route in walk(app.routes)
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }


@pytest.fixture
def app(center: Center) -> Iterator[FastAPI]:
    made = center.app()
    yield made
    made.state.parts.waker.close()


def test_every_route_has_a_permission_and_every_permission_a_route(app: FastAPI) -> None:
    assert set(declared(app)) == set(ROUTES)


def test_nothing_else_answers(app: FastAPI) -> None:
    """What is no route of the table is static, or the document of the API."""
    others = {getattr(route, "path", None) for route in walk(app.routes) if not isinstance(route, APIRoute)}
    assert others == {"/static", *NO_ROUTES}


def test_the_check_stands_before_every_route(app: FastAPI) -> None:
    assert [each.dependency for each in app.router.dependencies] == [authorize, paced]


def test_what_is_open_to_everybody_was_meant_to_be() -> None:
    assert {route for route, permission in ROUTES.items() if permission is None} == PUBLIC


def test_whatever_a_path_names_is_looked_up(app: FastAPI) -> None:
    for name, route in declared(app).items():
        if ROUTES[name] is not None:
            named = {parameter.name for parameter in route.dependant.path_params}
            assert named <= {*PLACES, "action"}, name


def test_every_role_can_do_something_and_only_the_administrator_everything() -> None:
    for role in Role:
        assert GRANTED[role]
        assert (GRANTED[role] == frozenset(Permission)) == (role is Role.ADMINISTRATOR)
    assert may(Role.ADMINISTRATOR, Permission.CHANGE_POLICY, is_center_wide=True)
    assert not may(Role.ADMINISTRATOR, Permission.CHANGE_POLICY, is_center_wide=False)


def expected(route: str, role: Role, scope: str) -> int:
    """403, 404, or 200 for whatever the route itself answers. What paths name belongs to `OWN`."""
    permission = ROUTES[route]
    assert permission is not None
    if not may(role, permission, is_center_wide=False):
        return 403
    names_a_place = any(f"{{{name}}}" in route for name in PLACES)
    return 404 if names_a_place and scope != OWN else 200


def ask(client: Client, route: str, keys: dict[str, int]) -> int:
    method, path = route.split(" ")
    for name, value in {**NAMES, **keys}.items():
        path = path.replace(f"{{{name}}}", str(value))
    body: dict[str, Any] | None = None if method in ("GET", "HEAD") else {}
    if route == STREAM:
        headers = {"authorization": f"Bearer {client.token}"}
        with urllib3.PoolManager(retries=False) as pool:
            answer = pool.request("GET", client.url + path, headers=headers, preload_content=False, timeout=8)
            answer.close()
            return answer.status
    return client.request(method, path + QUERIES.get(path, ""), body).status


@pytest.mark.parametrize("role", Role)
def test_every_route_by_role_and_community(served: Center, role: Role) -> None:
    keys = settle(served)
    wrong = []
    for scope in SCOPES:
        client = logged_in(served, role, scope)
        protected = [route for route, permission in ROUTES.items() if permission is not None]
        for route in sorted(protected, key=lambda each: each in ENDS):
            if route in ENDS:
                client = logged_in(served, role, scope)
            status, wanted = ask(client, route, keys), expected(route, role, scope)
            is_right = status not in (401, 403, 404) and status < 500 if wanted == 200 else status == wanted
            if not is_right:
                wrong.append((route, scope, status, wanted))
    assert wrong == []


def test_nobody_without_a_session_gets_further(served: Center) -> None:
    keys, stranger = settle(served), served.client()
    wrong = {route: ask(stranger, route, keys) for route, permission in ROUTES.items() if permission is not None}
    assert {route: status for route, status in wrong.items() if status != 401} == {}


def test_what_is_open_to_everybody_is_the_same_for_everybody(served: Center) -> None:
    """A session adds nothing to a link, a login page or health; and none of them tells of anybody's homes."""
    settle(served)
    stranger = served.client()
    asked = [stranger, *(logged_in(served, Role.OPERATOR, scope) for scope in (OWN, OTHER))]
    for route in sorted(PUBLIC - LOGINS):
        method, _, path = route.partition(" ")
        path = path.replace("{token}", "x")
        told = [client.request(method, path, None if method in ("GET", "HEAD") else {}) for client in asked]
        statuses = {404 if answer.status == 429 else answer.status for answer in told}  # wrong links are slowed
        assert len(statuses) == 1, route
        assert not any(word in answer.data.decode() for answer in told for word in PLANTED + PLANTED_OTHER), route


READS = sorted(
    route.removeprefix("GET ")
    for route, permission in ROUTES.items()
    if route.startswith("GET ") and permission is not None and "{" not in route and route != STREAM
)


def reads(client: Client) -> Iterator[tuple[str, str]]:
    for path in (*READS, "/api/v1/figures?format=csv", "/api/v1/figures?by=device&format=csv"):
        extra = {"/api/v1/readings": "&gateway=gw-stray"}.get(path, "")
        answer = client.request("GET", path + QUERIES.get(path, "") + extra)
        if answer.status == 200:
            yield path, answer.data.decode()


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.NURSE, Role.INSTALLER, Role.ADMINISTRATOR, Role.AUDITOR])
def test_no_list_page_figure_or_export_shows_another_community(served: Center, role: Role) -> None:
    settle(served)
    served.wall_names = True
    served.client("mei").get("residents/r-1")  # leaves a trace that auditors of c-2 are not told of
    own, other, nobody = (logged_in(served, role, scope) for scope in (OWN, OTHER, NONE))
    seen_own = "".join(text for _, text in reads(own))
    for client, planted in ((other, PLANTED), (nobody, PLANTED + PLANTED_OTHER), (own, PLANTED_OTHER)):
        found = [(path, word) for path, text in reads(client) for word in planted if word in text]
        assert found == []
    if role is not Role.AUDITOR:
        assert "梧桐" in seen_own, "the check can find what is there"


def test_what_belongs_to_nobody_is_shown_to_everybody_who_answers(served: Center) -> None:
    settle(served)
    for scope in SCOPES:
        client = logged_in(served, Role.OPERATOR, scope)
        gateways = {alert["gateway"] for alert in client.get("alerts").json()["alerts"]}
        own = {OWN: {"gw-east-1", "gw-east-2"}, OTHER: {"gw-west-9"}, NONE: set()}[scope]
        assert gateways == {"gw-stray"} | own
        assert "gw-stray" in client.request("GET", "/fragments/wall").data.decode()


def test_the_stream_tells_each_of_its_own_communities_and_moves_on_past_the_others(served: Center) -> None:
    settle(served)
    heard = {}
    for scope in SCOPES:
        stream = logged_in(served, Role.OPERATOR, scope).stream(after=0)
        heard[scope] = [stream.journal() or {} for _ in range({OWN: 3, OTHER: 2, NONE: 1}[scope])]
        stream.close()
    gateways = {scope: [each["alert"]["gateway"] for each in told] for scope, told in heard.items()}
    assert gateways == {
        OWN: ["gw-east-1", "gw-east-2", "gw-stray"],
        OTHER: ["gw-west-9", "gw-stray"],
        NONE: ["gw-stray"],
    }


def test_a_live_press_reaches_its_own_community_alone(served: Center) -> None:
    settle(served)
    streams = {scope: logged_in(served, Role.OPERATOR, scope).stream() for scope in (OWN, OTHER)}
    served.press()  # of c-1
    served.press("gw-stray", "rf433:ffee01")
    first = {scope: stream.journal() or {} for scope, stream in streams.items()}
    for stream in streams.values():
        stream.close()
    assert (first[OWN]["alert"]["gateway"], first[OTHER]["alert"]["gateway"]) == ("gw-east-1", "gw-stray")


def test_who_does_not_see_alerts_hears_only_that_something_happened(served: Center) -> None:
    settle(served)
    for role in (Role.INSTALLER, Role.AUDITOR, Role.VIEWER):
        stream = logged_in(served, role, OWN).stream(after=0)
        told = stream.journal()
        stream.close()
        assert told is not None
        assert set(told) == {"journal"}


def test_a_stream_ends_when_the_accounts_communities_change(served: Center) -> None:
    settle(served)
    stream = logged_in(served, Role.OPERATOR, OWN).stream()
    served.people.accounts.set_communities("operator-c-1", ["c-2"], time.time_ns())
    assert stream.journal() is None


def test_a_case_is_handed_only_to_who_sees_it(served: Center) -> None:
    alert = settle(served)["alert_id"]
    own = logged_in(served, Role.OPERATOR, OWN)
    assert own.post(f"alerts/{alert}/acknowledge", {}).status == 200
    listed = {person["name"] for person in own.get("staff").json()}
    assert {"mei", "nurse-c-1", "administrator-c-1"} <= listed
    assert listed.isdisjoint({"nurse-c-2", "nurse-none", "installer-c-1", "auditor-c-1", "wall"})
    for name, status in (("nurse-c-2", 422), ("installer-c-1", 422), ("nurse-c-1", 200)):
        assert own.post(f"alerts/{alert}/hand-over", {"to": name}).status == status


def test_nothing_is_declared_for_another_community(served: Center) -> None:
    settle(served)
    other = logged_in(served, Role.OPERATOR, OTHER)
    window = {"begins": "2030-01-01T00:00:00Z", "ends": "2030-01-01T02:00:00Z", "reason": "x"}
    for scope, name in (("community", "c-1"), ("home", "h-1"), ("gateway", "gw-east-1"), ("home", "no-such")):
        answer = other.post("maintenance", {"scope": scope, "scope_id": name, **window})
        assert (answer.status, answer.json()["error"]["code"]) == (404, "not-found")
    assert other.post("maintenance", {"scope": "home", "scope_id": "h-9", **window}).status == 201


def test_what_is_anothers_looks_like_what_is_not_there(served: Center) -> None:
    keys = settle(served)
    other = logged_in(served, Role.OPERATOR, OTHER)
    for hidden, absent in (
        (f"alerts/{keys['alert_id']}", "alerts/99999"),
        ("residents/r-1", "residents/r-none"),
        ("homes/h-1/energy", "homes/h-none/energy"),
        ("gateways/gw-east-1/self-tests", "gateways/gw-none/self-tests"),
    ):
        first, second = other.get(hidden), other.get(absent)
        assert (first.status, second.status) == (404, 404)
        key, none = hidden.split("/")[1], absent.split("/")[1]
        assert first.data.decode().replace(key, none) == second.data.decode()


def test_names_of_another_community_find_nothing(served: Center) -> None:
    settle(served)
    other = logged_in(served, Role.OPERATOR, OTHER)
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = other.request("POST", "/history", urlencode({"who": "王秀兰"}).encode(), form)
    assert answer.status == 422
    assert (
        other.request("POST", "/history", urlencode({"who": "李桂芳"}).encode(), form)
        .headers["location"]
        .endswith("home=h-9")
    )


def test_readings_of_another_community_are_not_there(served: Center) -> None:
    settle(served)
    other = logged_in(served, Role.OPERATOR, OTHER)
    assert other.get("readings", quantity="power").status == 400
    assert other.get("readings", quantity="power", home="h-1").status == 404
    assert other.get("readings", quantity="power", gateway="gw-east-1").status == 404
    assert other.get("readings", quantity="power", home="h-9", gateway="gw-east-1").status == 404
    assert other.get("readings", quantity="power", home="h-9").status == 200


def test_a_gateway_that_moved_shows_nothing_of_the_home_it_left(served: Center) -> None:
    settle(served)
    at_ns = time.time_ns() - 60 * NS
    before = Point("power", OWN, "h-1", "gw-west-9", "meter:1", 80.0, at_ns)
    since = Point("power", OTHER, "h-9", "gw-west-9", "meter:1", 81.0, at_ns + NS)
    unknown = Point("power", "", "", "gw-west-9", "meter:1", 79.0, at_ns - NS)
    left = Point("power", OWN, "h-1", "gw-stray", "meter:1", 82.0, at_ns)
    served.store.write([before, since, unknown, left])
    other = logged_in(served, Role.OPERATOR, OTHER)

    def values(client: Client, gateway: str) -> list[float]:
        return [item["value"] for item in client.get("readings", quantity="power", gateway=gateway).json()["samples"]]

    assert values(other, "gw-west-9") == [81.0]
    assert values(other, "gw-stray") == []
    assert values(served.client("boss"), "gw-west-9") == [79.0, 80.0, 81.0]


def test_vital_signs_are_no_readings_to_those_who_see_no_residents(served: Center) -> None:
    settle(served)
    at_ns = time.time_ns() - 60 * NS
    own = Point("systolic", OWN, "h-1", "gw-east-1", "cuff:1", 141.0, at_ns, "r-1")
    nobodys = Point("systolic", OWN, "h-1", "gw-east-1", "cuff:2", 120.0, at_ns)
    served.store.write([own, nobodys])

    def values(role: Role) -> list[float]:
        answer = logged_in(served, role, OWN).get("readings", quantity="systolic", home="h-1")
        return sorted(item["value"] for item in answer.json()["samples"])

    assert values(Role.NURSE) == [120.0, 141.0]
    assert values(Role.INSTALLER) == [120.0]
