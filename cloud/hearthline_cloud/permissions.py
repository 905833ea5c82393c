"""Who may do what, as one table: route -> permission -> roles. A route that is not in it is refused to everybody.

Pure: `api.access` asks it before every request, the console asks it what to show. Whose homes an account sees is
another question, which `scoping` answers.
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    OPERATOR = "operator"  # answers alarms
    NURSE = "nurse"  # answers alarms and reads vital signs; leaves gateways alone
    INSTALLER = "installer"  # homes, gateways and devices; no residents
    ADMINISTRATOR = "administrator"
    AUDITOR = "auditor"  # reads who did what and how long people waited; changes nothing, sees no resident
    VIEWER = "viewer"  # a screen on the wall: sees the wall view, and may do nothing


class Permission(StrEnum):
    LEAVE = "leave"
    OWN = "own"  # one's own first page, and that something happened
    ENROL = "enrol"  # set one's own second factor up
    ACCOUNT = "account"  # one's own password, sessions, second factor
    WALL = "wall"
    FRAME = "frame"  # the console around its pages
    ALERTS = "alerts"  # cases, their ways, events, work orders
    ANSWER = "answer"  # take, hand over, close, note, plan
    HOMES = "homes"  # homes, gateways and devices, without residents
    RESIDENTS = "residents"  # cards, vital signs, and residents' names elsewhere
    CONSENT = "consent"  # write down what a resident agrees to or withdraws
    REGISTER = "register"  # homes, gateways and devices
    REGISTER_PEOPLE = "register-people"  # residents and their contacts
    REGISTER_COMMUNITIES = "register-communities"
    IMPORT = "import"  # tables into the registry, people too
    ERASE = "erase"  # a resident
    READINGS = "readings"  # energy and other time series
    SELF_TEST = "self-test"
    COMMISSION = "commission"  # close what a commissioning has left to do
    REMOTE = "remote"  # look into a gateway from afar, change its configuration, sound its local output
    WATCH = "watch"  # what is declared: maintenance, absence
    DECLARE = "declare"
    FIGURES = "figures"
    EVERYBODYS_FIGURES = "everybodys-figures"  # of each member of the staff, not only one's own
    EXPORT = "export"  # cases without names
    PROTECTION = "protection"
    AUDIT = "audit"
    POLICY = "policy"
    CHANGE_POLICY = "change-policy"
    MANAGE_STAFF = "manage-staff"  # accounts, roles, passwords and second factors of others


_P = Permission
_EVERYBODY = frozenset({_P.LEAVE, _P.OWN, _P.WALL})
_STAFF = _EVERYBODY | {_P.FRAME, _P.ENROL, _P.ACCOUNT}
_CARE = _STAFF | {
    _P.ALERTS, _P.ANSWER, _P.HOMES, _P.RESIDENTS, _P.REGISTER_PEOPLE, _P.CONSENT, _P.READINGS, _P.WATCH, _P.DECLARE,
    _P.FIGURES, _P.EXPORT, _P.PROTECTION, _P.POLICY, _P.COMMISSION,
}  # fmt: skip

GRANTED: dict[Role, frozenset[Permission]] = {
    Role.OPERATOR: _CARE | {_P.SELF_TEST},
    Role.NURSE: _CARE,
    Role.INSTALLER: _STAFF
    | {
        _P.HOMES,
        _P.REGISTER,
        _P.READINGS,
        _P.SELF_TEST,
        _P.COMMISSION,
        _P.REMOTE,
        _P.WATCH,
        _P.DECLARE,
    },
    Role.ADMINISTRATOR: frozenset(Permission),
    Role.AUDITOR: _STAFF | {_P.FIGURES, _P.EVERYBODYS_FIGURES, _P.EXPORT, _P.AUDIT, _P.POLICY},
    Role.VIEWER: _EVERYBODY,
}

# What changes the whole center, and is not for an account of some communities.
CENTER_WIDE = frozenset({_P.CHANGE_POLICY, _P.MANAGE_STAFF, _P.REGISTER_COMMUNITIES})

# All that an account may do whose role needs a second factor, as long as it has none.
ENROLLING = frozenset({_P.LEAVE, _P.ENROL})

PUBLIC = None  # no session: the route has its own proof, or tells nothing

_API = "/api/v1"
_REGISTRY = f"{_API}/registry"
_ACTIONS = ("acknowledge", "attend", "arrive", "hand-over", "resolve", "reopen", "notes", "schedule")
_VOLUNTEERS_STEPS = ("open", "go", "arrive", "decline", "report")

ROUTES: dict[str, Permission | None] = {
    # session
    "GET /login": PUBLIC,
    "POST /login": PUBLIC,
    "POST /language": PUBLIC,
    "GET /login/code": PUBLIC,
    "POST /login/code": PUBLIC,
    "POST /logout": _P.LEAVE,
    f"POST {_API}/login": PUBLIC,
    f"POST {_API}/logout": _P.LEAVE,
    # a machine that becomes a gateway: it proves a code
    f"POST {_API}/enrolment": PUBLIC,
    # one's own account
    "GET /account": _P.ACCOUNT,
    "POST /account/password": _P.ACCOUNT,
    "POST /account/sessions/end": _P.ACCOUNT,
    "GET /account/second-factor": _P.ENROL,
    "POST /account/second-factor": _P.ENROL,
    "GET /account/second-factor/new": _P.ENROL,
    "POST /account/second-factor/new": _P.ENROL,
    "POST /account/second-factor/codes": _P.ACCOUNT,
    "POST /account/second-factor/remove": _P.ACCOUNT,
    # the accounts of the staff
    "GET /staff": _P.MANAGE_STAFF,
    "POST /staff": _P.MANAGE_STAFF,
    "POST /staff/{action}": _P.MANAGE_STAFF,
    # behind a signed link
    "GET /f/{token}": PUBLIC,
    "POST /f/{token}": PUBLIC,
    "GET /v/{token}": PUBLIC,
    "HEAD /v/{token}": PUBLIC,
    **{f"POST /v/{{token}}/{step}": PUBLIC for step in _VOLUNTEERS_STEPS},
    # operation
    "GET /healthz": PUBLIC,
    "GET /readyz": PUBLIC,
    f"GET {_API}/kept-aside": _P.HOMES,
    f"GET {_API}/audit": _P.AUDIT,
    # alerts
    "GET /": _P.OWN,  # leads each role to its first page
    "GET /fragments/alerts": _P.ALERTS,
    "GET /fragments/summary": _P.FRAME,
    "GET /alerts/{alert_id}": _P.ALERTS,
    "GET /fragments/alerts/{alert_id}": _P.ALERTS,
    f"GET {_API}/alerts": _P.ALERTS,
    f"GET {_API}/alerts/{{alert_id}}": _P.ALERTS,
    f"GET {_API}/alerts/{{alert_id}}/trace": _P.ALERTS,
    **{f"POST {_API}/alerts/{{alert_id}}/{action}": _P.ANSWER for action in _ACTIONS},
    f"GET {_API}/staff": _P.ALERTS,
    f"GET {_API}/events": _P.ALERTS,
    f"GET {_API}/stream": _P.OWN,
    # history
    "GET /history": _P.ALERTS,
    "POST /history": _P.ALERTS,
    "GET /history.csv": _P.EXPORT,
    # service calls
    "GET /service": _P.ALERTS,
    "GET /fragments/service": _P.ALERTS,
    f"GET {_API}/service": _P.ALERTS,
    f"GET {_API}/service/meals": _P.ALERTS,
    # work orders
    "GET /orders": _P.ALERTS,
    "GET /fragments/orders": _P.ALERTS,
    "POST /orders/{order_id}": _P.ANSWER,
    f"GET {_API}/orders": _P.ALERTS,
    f"POST {_API}/orders/{{order_id}}/{{action}}": _P.ANSWER,
    # the wall
    "GET /wall": _P.WALL,
    "GET /fragments/wall": _P.WALL,
    # homes, gateways, devices
    "GET /homes": _P.HOMES,
    "GET /fragments/homes": _P.HOMES,
    f"GET {_API}/homes": _P.HOMES,
    f"GET {_API}/gateways": _P.HOMES,
    f"GET {_API}/devices": _P.HOMES,
    f"GET {_API}/homes/{{home_id}}/energy": _P.READINGS,
    "GET /homes/{home_id}/energy": _P.READINGS,
    f"GET {_API}/readings": _P.READINGS,
    "GET /homes/gateways/{gateway_id}/self-tests": _P.HOMES,
    "GET /fragments/gateways/{gateway_id}/self-tests": _P.HOMES,
    "POST /homes/gateways/{gateway_id}/self-tests": _P.SELF_TEST,
    f"GET {_API}/gateways/{{gateway_id}}/self-tests": _P.HOMES,
    f"POST {_API}/gateways/{{gateway_id}}/self-tests": _P.SELF_TEST,
    "GET /homes/gateways/{gateway_id}/commissioning": _P.HOMES,
    "GET /fragments/gateways/{gateway_id}/commissioning": _P.HOMES,
    "POST /homes/gateways/{gateway_id}/commissioning": _P.COMMISSION,
    f"GET {_API}/gateways/{{gateway_id}}/commissioning": _P.HOMES,
    f"GET {_API}/gateways/{{gateway_id}}/commissioning/report": _P.HOMES,
    f"POST {_API}/gateways/{{gateway_id}}/commissioning/to-dos": _P.COMMISSION,
    # a gateway from afar
    "GET /homes/gateways/{gateway_id}": _P.REMOTE,
    "GET /fragments/gateways/{gateway_id}": _P.REMOTE,
    "POST /homes/gateways/{gateway_id}/ask": _P.REMOTE,
    "POST /homes/gateways/{gateway_id}/configuration": _P.REMOTE,
    "POST /homes/gateways/{gateway_id}/devices": _P.REGISTER,
    f"GET {_API}/gateways/{{gateway_id}}/remote": _P.REMOTE,
    f"POST {_API}/gateways/{{gateway_id}}/asks": _P.REMOTE,
    f"PUT {_API}/gateways/{{gateway_id}}/configuration": _P.REMOTE,
    # residents
    "GET /residents/{resident_id}": _P.RESIDENTS,
    "GET /residents/{resident_id}/charts": _P.RESIDENTS,
    "GET /residents/{resident_id}/consents": _P.RESIDENTS,
    "POST /residents/{resident_id}/consents": _P.CONSENT,
    f"GET {_API}/residents/{{resident_id}}/consents": _P.RESIDENTS,
    f"POST {_API}/residents/{{resident_id}}/consents": _P.CONSENT,
    f"POST {_API}/residents/{{resident_id}}/consents/withdraw": _P.CONSENT,
    f"GET {_API}/residents/{{resident_id}}": _P.RESIDENTS,
    f"GET {_API}/residents/{{resident_id}}/vitals": _P.RESIDENTS,
    # changing the registry
    f"GET {_REGISTRY}/communities": _P.HOMES,
    f"POST {_REGISTRY}/communities": _P.REGISTER_COMMUNITIES,
    f"PATCH {_REGISTRY}/communities/{{community_id}}": _P.REGISTER_COMMUNITIES,
    f"DELETE {_REGISTRY}/communities/{{community_id}}": _P.REGISTER_COMMUNITIES,
    f"POST {_REGISTRY}/homes": _P.REGISTER,
    f"PATCH {_REGISTRY}/homes/{{home_id}}": _P.REGISTER,
    f"DELETE {_REGISTRY}/homes/{{home_id}}": _P.REGISTER,
    f"POST {_REGISTRY}/gateways": _P.REGISTER,
    f"PATCH {_REGISTRY}/gateways/{{gateway_id}}": _P.REGISTER,
    f"DELETE {_REGISTRY}/gateways/{{gateway_id}}": _P.REGISTER,
    f"POST {_REGISTRY}/gateways/{{gateway_id}}/devices": _P.REGISTER,
    f"PATCH {_REGISTRY}/gateways/{{gateway_id}}/devices": _P.REGISTER,
    f"DELETE {_REGISTRY}/gateways/{{gateway_id}}/devices": _P.REGISTER,
    f"POST {_REGISTRY}/residents": _P.REGISTER_PEOPLE,
    f"PATCH {_REGISTRY}/residents/{{resident_id}}": _P.REGISTER_PEOPLE,
    f"DELETE {_REGISTRY}/residents/{{resident_id}}": _P.ERASE,
    f"POST {_REGISTRY}/residents/{{resident_id}}/contacts": _P.REGISTER_PEOPLE,
    f"PATCH {_REGISTRY}/residents/{{resident_id}}/contacts": _P.REGISTER_PEOPLE,
    f"DELETE {_REGISTRY}/residents/{{resident_id}}/contacts": _P.REGISTER_PEOPLE,
    f"POST {_REGISTRY}/import": _P.IMPORT,
    # maintenance and absence
    "GET /watch": _P.WATCH,
    "POST /watch": _P.DECLARE,
    "POST /watch/{number}/end": _P.DECLARE,
    f"GET {_API}/declared": _P.WATCH,
    f"POST {_API}/maintenance": _P.DECLARE,
    f"POST {_API}/absences": _P.DECLARE,
    f"POST {_API}/declared/{{number}}/end": _P.DECLARE,
    # figures
    "GET /figures": _P.FIGURES,
    f"GET {_API}/figures": _P.FIGURES,
    "GET /protection": _P.PROTECTION,
    f"GET {_API}/protection": _P.PROTECTION,
    f"GET {_API}/protection.csv": _P.PROTECTION,
    # policies
    "GET /policy": _P.POLICY,
    "POST /policy": _P.CHANGE_POLICY,
    f"GET {_API}/policy": _P.CHANGE_POLICY,
    f"PUT {_API}/policy": _P.CHANGE_POLICY,
}


def may(role: Role, permission: Permission, is_center_wide: bool) -> bool:
    """Whether an account of this role, for the whole center or for some communities, has the permission."""
    return permission in GRANTED[role] and (is_center_wide or permission not in CENTER_WIDE)
