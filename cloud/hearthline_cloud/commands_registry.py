"""`hearthline community|home|resident|contact|gateway|device`: the registry, entry by entry and by the file.

The commands are made of the table of kinds and fields. Whoever may read the database may use them, so they ask for no
login; the journal names the machine's user. A personal value need not stand on the command line: it is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import typer

from hearthline.errors import ConfigError
from hearthline_cloud.commands_center import center, me, say
from hearthline_cloud.commands_registry_import import add_import
from hearthline_cloud.commands_registry_shared import (
    Given,
    argument,
    asked_for,
    card,
    command,
    done,
    field_option,
    flag,
    heading,
    lines,
    option,
)
from hearthline_cloud.commands_registry_texts import SPEECH
from hearthline_cloud.personal import erasing
from hearthline_cloud.registry.editing import add, edit, edit_contact
from hearthline_cloud.registry.reading import contacts_of, leave_trace, list_entries, show_entry
from hearthline_cloud.registry.removing import Along, remove, remove_contact
from hearthline_cloud.registry.shape import FIELDS, Key, Kind, key_fields
from hearthline_cloud.registry.texts import kind_word

_EXAMPLES: dict[Kind, str] = {
    Kind.COMMUNITY: "c-1 --name 静安日间照料中心",
    Kind.HOME: "home-1 --community c-1 --name 3号楼502室",
    Kind.RESIDENT: "r-7f3a --home home-1",
    Kind.CONTACT: "r-7f3a",
    Kind.GATEWAY: "gw-east-1 --home home-1",
    Kind.DEVICE: "enocean:002EE196 --gateway gw-east-1 --room 卧室",
}
_ALONG = {Kind.HOME: ("with_gateways",), Kind.GATEWAY: ("with_devices",), Kind.RESIDENT: ("yes",)}
KINDS = tuple(_EXAMPLES)


def _app(kind: Kind) -> typer.Typer:
    made = typer.Typer(
        no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=SPEECH.say(f"help.{kind}")
    )
    if kind is Kind.CONTACT:
        _add_contacts(made)
    else:
        _add_entries(made, kind)
    add_import(made, kind)
    return made


def _help(verb: str, kind: Kind, arguments: str = "") -> str:
    example = f"hearthline {kind} {verb} {arguments}".rstrip()
    text = "erase" if (verb, kind) == ("remove", Kind.RESIDENT) else verb
    return SPEECH.say(f"help.{text}", what=kind_word(kind), example=example)


def _add_entries(app: typer.Typer, kind: Kind) -> None:
    fields = FIELDS[kind]
    own = next(field for field in fields if field.name == "id")
    rest = [field_option(field) for field in fields if field is not own]
    key = [argument("id", heading(own))]
    key += [field_option(field) for field in fields if field.name in key_fields(kind) and field is not own]
    filters = [
        option(field.name, str, "", "option.of") for field in fields if field.refers not in (None, Kind.COMMUNITY)
    ]
    filters += [option("community", str, "", "option.of")] if kind is not Kind.COMMUNITY else []
    example = _EXAMPLES[kind]
    some = " ".join(example.split(" ")[: 3 if kind is Kind.DEVICE else 1])
    yes = " --yes" if kind is Kind.RESIDENT else ""
    new = [argument("id", heading(own), needed=False), *rest]
    gone = [*key, *(flag(name) for name in _ALONG.get(kind, ()))]
    command(app, "add", _help("add", kind, example), new, partial(_run_add, kind))
    command(app, "list", _help("list", kind), filters, partial(_run_list, kind))
    command(app, "show", _help("show", kind, some), key, partial(_run_show, kind))
    command(app, "edit", _help("edit", kind, example), [argument("id", heading(own)), *rest], partial(_run_edit, kind))
    remove_ = _run_erase if kind is Kind.RESIDENT else partial(_run_remove, kind)
    command(app, "remove", _help("remove", kind, some + yes), gone, remove_)


def _run_list(kind: Kind, /, config: Path, as_json: bool, community: str = "", **named: str) -> None:
    with center(config) as (_, database), database.reading() as connection:
        found = list_entries(connection, kind, place=community)
    found = [each for each in found if all(value in ("", each.get(name)) for name, value in named.items())]
    say(found, as_json, lines(FIELDS[kind], found))


def _run_show(kind: Kind, /, config: Path, as_json: bool, **given: Any) -> None:
    with center(config) as (_, database), database.transaction() as connection:
        found = show_entry(connection, kind, _key(kind, given))
        if kind is Kind.RESIDENT:
            leave_trace(connection, found["id"], me(), time.time_ns())
    say(found, as_json, card(FIELDS[kind], found))


def _run_remove(kind: Kind, /, config: Path, as_json: bool, **given: Any) -> None:
    gone = Along(gateways=given.get("with_gateways", False), devices=given.get("with_devices", False))
    with center(config) as (_, database), database.transaction() as connection:
        remove(connection, kind, _key(kind, given), me(), time.time_ns(), along=gone)
    done("removed", kind, given["id"], as_json)


def _run_add(kind: Kind, /, config: Path, as_json: bool, **given: Any) -> None:
    values = asked_for(FIELDS[kind], _given(given))
    with center(config) as (_, database), database.transaction() as connection:
        add(connection, kind, values, me(), time.time_ns())
    done("added", kind, values["id"], as_json)


def _run_edit(kind: Kind, /, config: Path, as_json: bool, **given: Any) -> None:
    values = _given(given)
    _check_given(values, key_fields(kind))
    with center(config) as (_, database), database.transaction() as connection:
        edit(connection, kind, values, me(), time.time_ns())
    done("changed", kind, given["id"], as_json)


def _run_erase(config: Path, as_json: bool, id: str, yes: bool) -> None:
    if not yes:
        raise ConfigError(SPEECH.say("erase-needs-yes"))
    with center(config) as (settings, database):
        is_new = erasing.erase(database, id, me(), time.time_ns())
        stores = erasing.finish(database, settings.store, settings.directory, time.time_ns())
    listed = str(settings.directory / erasing.LIST_FILE)
    told = {"resident": id, "new": is_new, "series": stores, "list": listed}
    say(told, as_json, SPEECH.say("done.erased", id=id, list=listed))


# --- contacts: numbered within their resident ------------------------------------------------------------------------


def _add_contacts(app: typer.Typer) -> None:
    kind, fields = Kind.CONTACT, FIELDS[Kind.CONTACT]
    whose, own = argument("resident", heading(fields[0])), [field_option(field) for field in fields[1:]]
    which = [whose, argument("number", SPEECH.say("option.number"))]

    def run_add(config: Path, as_json: bool, resident: str, **given: Any) -> None:
        values = asked_for(fields[1:], _given(given))
        with center(config) as (_, database), database.transaction() as connection:
            add(connection, kind, {"resident": resident, **values}, me(), time.time_ns())
        done("added", kind, resident, as_json)

    def run_list(config: Path, as_json: bool, resident: str) -> None:
        found = _contacts(config, resident)
        numbered = [f"{number}  {line}" for number, line in enumerate(lines(fields, found).splitlines(), 1)]
        say(found, as_json, "\n".join(numbered) if found else SPEECH.say("none"))

    def run_show(config: Path, as_json: bool, resident: str, number: str) -> None:
        found = _contacts(config, resident)
        entry = found[_number(number, len(found)) - 1]
        say(entry, as_json, card(fields[1:], entry))

    def run_edit(config: Path, as_json: bool, resident: str, number: str, **given: Any) -> None:
        values = _given(given)
        _check_given(values, ())
        with center(config) as (_, database), database.transaction() as connection:
            edit_contact(connection, resident, _number(number), values, me(), time.time_ns())
        done("changed", kind, f"{resident} {number}", as_json)

    def run_remove(config: Path, as_json: bool, resident: str, number: str) -> None:
        with center(config) as (_, database), database.transaction() as connection:
            remove_contact(connection, resident, _number(number), me(), time.time_ns())
        done("removed", kind, f"{resident} {number}", as_json)

    command(app, "add", _help("add", kind, "r-7f3a"), [whose, *own], run_add)
    command(app, "list", _help("list", kind, "r-7f3a"), [whose], run_list)
    command(app, "show", _help("show", kind, "r-7f3a 1"), which, run_show)
    command(app, "edit", _help("edit", kind, "r-7f3a 1 --phone 13800000142"), [*which, *own], run_edit)
    command(app, "remove", _help("remove", kind, "r-7f3a 1"), which, run_remove)


def _contacts(config: Path, resident: str) -> Sequence[dict[str, str]]:
    with center(config) as (_, database), database.transaction() as connection:
        found = contacts_of(connection, resident)
        leave_trace(connection, resident, me(), time.time_ns())
    return found


def _number(text: str, most: int = 10**6) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:7]) <= most):
        raise ConfigError(SPEECH.say("bad-contact", number=text))
    return int(text)


def _given(given: Given) -> Given:
    return {name: value for name, value in given.items() if value is not None}


def _check_given(values: Given, key: tuple[str, ...]) -> None:
    if not set(values) - {*key, "id"}:
        raise ConfigError(SPEECH.say("nothing-given"))


def _key(kind: Kind, given: Given) -> Key:
    lacking = [name for name in key_fields(kind) if not given.get(name)]
    if lacking:
        raise ConfigError(SPEECH.say("give-option", option=f"--{lacking[0]}"))
    return tuple(given[name] for name in key_fields(kind))


community, home, resident = _app(Kind.COMMUNITY), _app(Kind.HOME), _app(Kind.RESIDENT)
contact, gateway, device = _app(Kind.CONTACT), _app(Kind.GATEWAY), _app(Kind.DEVICE)
