"""`hearthline staff`: the accounts of the center's people, the same as those of `hearthline cloud user`, by its code.

An account is never removed, for the journal names it: it is closed, and can be opened again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from hearthline.errors import ConfigError
from hearthline_cloud import commands_user
from hearthline_cloud.__main__ import DEFAULT_CONFIG
from hearthline_cloud.commands_center import me, say
from hearthline_cloud.commands_registry_shared import ConfigOption, JsonOption
from hearthline_cloud.commands_registry_texts import SPEECH
from hearthline_cloud.commands_staff_import import add_import
from hearthline_cloud.commands_user import NameArgument, note_closed, people_of
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.people import Account
from hearthline_cloud.permissions import Role

staff = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=SPEECH.say("help.staff"))


def _help(verb: str, arguments: str) -> str:
    example = f"hearthline staff {verb} {arguments}".rstrip()
    return SPEECH.say(f"help.staff.{verb}", example=example)


def _same(verb: str, arguments: str, command: Callable[..., Any]) -> None:
    """A command of `hearthline cloud user` under this name."""
    staff.command(verb, help=_help(verb, arguments))(command)


_same("add", "mei --role nurse --community c-1", commands_user.add)
_same("list", "", commands_user.list_accounts)
_same("password", "mei", commands_user.password)
_same("remove", "mei", commands_user.disable)
add_import(staff, _help("import", "staff.csv --dry-run"))


@staff.command("show", help=_help("show", "mei"))
def show(name: NameArgument, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    with people_of(config) as people:
        found = _account(people.accounts.all(time.time_ns()), name)
    communities = SPEECH.say("staff.all") if found.communities is None else ", ".join(found.communities)
    state = SPEECH.say("staff.closed" if found.disabled else "staff.open")
    said = {"name": name, "role": found.role, "communities": communities, "state": state, "sessions": found.sessions}
    say(found, json, "\n".join(f"{SPEECH.say(f'staff.{key}')}: {value}" for key, value in said.items()))


@staff.command("edit", help=_help("edit", "mei --role nurse --all-communities"))
def edit(
    name: NameArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    role: Annotated[Role | None, typer.Option(help=SPEECH.say("option.role"))] = None,
    community: Annotated[list[str] | None, typer.Option(help=SPEECH.say("option.community"))] = None,
    all_communities: Annotated[
        bool, typer.Option("--all-communities", help=SPEECH.say("option.all-communities"))
    ] = False,
    enable: Annotated[bool, typer.Option("--open", help=SPEECH.say("option.open"))] = False,
    json: JsonOption = False,
) -> None:
    if community and all_communities:
        raise ConfigError(SPEECH.say("staff.either"))
    if not (role or community or all_communities or enable):
        raise ConfigError(SPEECH.say("nothing-given"))
    with people_of(config) as people:
        accounts, now_ns = people.accounts, time.time_ns()
        _account(accounts.all(now_ns), name)
        places = None if all_communities else community or ()
        accounts.edit(name, now_ns, me(), role=role, communities=places, is_opened=enable)
    if enable:
        note_closed(config, name, closed=False)
    say({"kind": "staff", "id": name, "done": "changed"}, json, SPEECH.say("staff.changed", name=name))


def _account(accounts: Iterable[Account], name: str) -> Account:
    for each in accounts:
        if each.name == name:
            return each
    raise NotFoundError(SPEECH.say("staff.none", name=name))
