"""The page of one gateway, for who may lay remote hands on it: how it stands, questions to it, its configuration."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from hearthline.errors import RefusedError
from hearthline_cloud.alerts.notes import PORT
from hearthline_cloud.alerts.profiles import PROFILES
from hearthline_cloud.api.access import PartsOf, Staff
from hearthline_cloud.api.parts import Parts
from hearthline_cloud.api.registry_reads import list_devices
from hearthline_cloud.api.remote_reads import remote_of
from hearthline_cloud.api.routes_registry import Id
from hearthline_cloud.api.routes_remote import order
from hearthline_cloud.console import gateway_form
from hearthline_cloud.console.gateway_form import LEVELS, MAX_TEXT, NUMBERS, config_of, form_of
from hearthline_cloud.console.texts import LANGUAGES
from hearthline_cloud.console.view import language_of, page
from hearthline_cloud.desk import ConflictError, NotFoundError
from hearthline_cloud.people import Session
from hearthline_cloud.registry.editing import RegistryError, put
from hearthline_cloud.registry.removing import remove
from hearthline_cloud.registry.shape import Kind
from hearthline_cloud.registry.texts import in_both
from hearthline_cloud.remote.asking import Order, find_gateway
from hearthline_cloud.remote.asks import What

router = APIRouter(include_in_schema=False)
Field = Annotated[str, Form(max_length=32)]
Text = Annotated[str, Form(max_length=200)]


@router.get("/homes/gateways/{gateway_id}")
def gateway_page(gateway_id: Id, request: Request, parts: PartsOf, session: Staff) -> Response:
    return _page(request, parts, session, gateway_id)


@router.get("/fragments/gateways/{gateway_id}")
def gateway_fragment(gateway_id: Id, request: Request, parts: PartsOf, session: Staff) -> Response:
    return _page(request, parts, session, gateway_id, "_gateway.html")


@router.post("/homes/gateways/{gateway_id}/ask")
def post_ask(
    gateway_id: Id,
    parts: PartsOf,
    session: Staff,
    what: Annotated[Literal["examine", "log", "test"], Form()],
) -> Response:
    order(parts, session, gateway_id, Order(What(what)))
    return _back(gateway_id)


@router.post("/homes/gateways/{gateway_id}/configuration")
def post_configuration(
    gateway_id: Id,
    request: Request,
    parts: PartsOf,
    session: Staff,
    based_on: Annotated[str, Form(max_length=64)] = "",
    tables: Annotated[str, Form(max_length=MAX_TEXT)] = "",
    log_level: Field = "",
    local_alarm_after_s: Field = "",
    cancel_window_s: Field = "",
    status_period_s: Field = "",
    gather_s: Field = "",
    telemetry_max_mb: Field = "",
) -> Response:
    """What was typed is shown again with what is wrong; the gateway's own word comes to the list of changes."""
    fields = {
        "log_level": log_level,
        "local_alarm_after_s": local_alarm_after_s,
        "cancel_window_s": cancel_window_s,
        "status_period_s": status_period_s,
        "gather_s": gather_s,
        "telemetry_max_mb": telemetry_max_mb,
    }
    typed = gateway_form.Form(fields, tables)
    try:
        order(parts, session, gateway_id, Order(What.CONFIGURE, config_of(typed), based_on=based_on))
    except NotFoundError:
        raise
    except RefusedError as error:
        status = 409 if isinstance(error, ConflictError) else 422
        return _page(request, parts, session, gateway_id, typed=typed, problem=str(error), status=status)
    return _back(gateway_id)


@router.post("/homes/gateways/{gateway_id}/devices")
def post_device(
    gateway_id: Id,
    request: Request,
    parts: PartsOf,
    session: Staff,
    action: Annotated[Literal["put", "remove"], Form()],
    device: Text = "",
    name: Text = "",
    room: Text = "",
    kind: Text = "",
) -> Response:
    """A field that is left empty is left as it is. The gateway is told its new list by itself."""
    typed = {"device": device, "name": name, "room": room, "kind": kind}
    values = {key: value for key, value in (("name", name), ("room", room), ("kind", kind)) if value.strip()}
    now_ns, seen = parts.now_ns(), session.communities
    try:
        with parts.database.transaction() as connection:
            find_gateway(connection, gateway_id, seen)
            if action == "remove":
                remove(connection, Kind.DEVICE, (gateway_id, device), session.staff, now_ns, seen)
            else:
                wanted = {"gateway": gateway_id, "id": device, **values}
                put(connection, Kind.DEVICE, wanted, session.staff, now_ns, seen)
    except RegistryError as error:
        place = LANGUAGES.index(language_of(request))
        told = "; ".join(in_both(each.problem)[place] for each in error.found)
        return _page(request, parts, session, gateway_id, device=typed, device_problem=told, status=422)
    except NotFoundError as error:
        return _page(request, parts, session, gateway_id, device=typed, device_problem=str(error), status=404)
    parts.waker.wake("ingest")
    return _back(gateway_id)


def _back(gateway: str) -> Response:
    return RedirectResponse(f"/homes/gateways/{quote(gateway, safe='')}", 303)


def _page(
    request: Request,
    parts: Parts,
    session: Session,
    gateway: str,
    template: str = "gateway.html",
    *,
    typed: gateway_form.Form | None = None,
    problem: str = "",
    device: dict[str, str] | None = None,
    device_problem: str = "",
    status: int = 200,
) -> Response:
    with parts.database.reading() as connection:
        found = remote_of(connection, gateway, parts.now_ns(), session.communities)
        devices = list_devices(connection, session.communities, gateway)
    return page(
        request,
        template,
        session,
        status,
        here=f"/homes/gateways/{quote(gateway, safe='')}",
        found=found,
        devices=devices,
        form=form_of(found.config) if typed is None else typed,
        present=form_of(found.config),
        changes=[(change, form_of(change.config or {})) for change in found.changes],
        numbers=NUMBERS,
        levels=LEVELS,
        problem=problem,
        kinds=[kind for kind in PROFILES if kind != PORT],
        device=device or {},
        device_problem=device_problem,
    )
