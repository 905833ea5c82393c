"""`hearthline cloud user`: staff accounts. Whoever may read the database may use it, so it asks for no login.

What is changed here stands in the journal under the name of the machine's user.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from hearthline.config import read_secret
from hearthline_cloud import withdrawn
from hearthline_cloud.__main__ import DEFAULT_CONFIG
from hearthline_cloud.commands_center import ConfigOption, JsonOption, center, me, say
from hearthline_cloud.commands_registry_texts import SPEECH
from hearthline_cloud.config import load_cloud_config
from hearthline_cloud.people import Account, People
from hearthline_cloud.permissions import Role

user_app = typer.Typer(no_args_is_help=True, help="Staff accounts.")

NameArgument = Annotated[str, typer.Argument(help="The login name.")]
RoleOption = Annotated[Role, typer.Option(help="What the person may do.")]
CommunityOption = Annotated[
    list[str] | None, typer.Option("--community", help="See this community alone; may repeat. Without it: all.")
]
PasswordFileOption = Annotated[
    Path | None, typer.Option(help="Read the password from here; without it one is made and printed.")
]


@user_app.command("add")
def add(
    name: NameArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    role: RoleOption = Role.OPERATOR,
    community: CommunityOption = None,
    password_file: PasswordFileOption = None,
    json: JsonOption = False,
) -> None:
    """Add a member of staff. The first administrator is made in this way too; there is no account before.

    Example: hearthline cloud user add mei --role nurse --community c-1 --config cloud.toml
    """
    password = _password(password_file)
    with people_of(config) as people:
        people.accounts.add(name, password, role, time.time_ns(), community or None, me())
    _say_login(name, password, password_file is None, json)


@user_app.command("password")
def password(
    name: NameArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    password_file: PasswordFileOption = None,
    json: JsonOption = False,
) -> None:
    """Give a member of staff a new password and end that person's sessions.

    Example: hearthline cloud user password mei --config cloud.toml
    """
    made = _password(password_file)
    with people_of(config) as people:
        people.accounts.set_password(name, made, time.time_ns(), me())
    _say_login(name, made, password_file is None, json)


@user_app.command("role")
def change_role(
    name: NameArgument,
    role: Annotated[Role, typer.Argument(help="What the person may do from now on.")],
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Change what a member of staff may do, and end that person's sessions.

    Example: hearthline cloud user role mei nurse --config cloud.toml
    """
    with people_of(config) as people:
        people.accounts.set_role(name, role, time.time_ns(), me())
    say({"name": name, "role": role.value}, json, SPEECH.say("user.role", name=name, role=role.value))


@user_app.command("communities")
def change_communities(
    name: NameArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    community: CommunityOption = None,
    json: JsonOption = False,
) -> None:
    """Say whose homes a member of staff sees, and end that person's sessions. Without --community: all.

    Example: hearthline cloud user communities mei --community c-1 --community c-2 --config cloud.toml
    """
    with people_of(config) as people:
        people.accounts.set_communities(name, community or None, time.time_ns(), me())
    told = ", ".join(community) if community else SPEECH.say("staff.all")
    said = SPEECH.say("user.communities", name=name, communities=told)
    say({"name": name, "communities": community or None}, json, said)


@user_app.command("disable")
def disable(name: NameArgument, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Close an account and end its sessions. Its name stays in the journal.

    Example: hearthline cloud user disable mei --config cloud.toml
    """
    with people_of(config) as people:
        people.accounts.set_disabled(name, True, time.time_ns(), me())
    note_closed(config, name, True)
    say({"name": name, "disabled": True}, json, SPEECH.say("user.disabled", name=name))


@user_app.command("enable")
def enable(name: NameArgument, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Open a closed account again, with its old password.

    Example: hearthline cloud user enable mei --config cloud.toml
    """
    with people_of(config) as people:
        people.accounts.set_disabled(name, False, time.time_ns(), me())
    note_closed(config, name, False)
    say({"name": name, "disabled": False}, json, SPEECH.say("user.enabled", name=name))


@user_app.command("reset-second-factor")
def reset_second_factor(name: NameArgument, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Take away a second factor whose phone and codes are lost, and end that person's sessions.

    Example: hearthline cloud user reset-second-factor mei --config cloud.toml
    """
    with people_of(config) as people:
        people.factors.remove(name, time.time_ns(), me())
    say({"name": name}, json, SPEECH.say("user.factor-gone", name=name))


@user_app.command("logout")
def log_out(name: NameArgument, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """End every session of a member of staff.

    Example: hearthline cloud user logout mei --config cloud.toml
    """
    with people_of(config) as people:
        people.accounts.log_out_everywhere(name, time.time_ns(), me())
    say({"name": name}, json, SPEECH.say("user.logged-out", name=name))


@user_app.command("list")
def list_accounts(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """List the accounts: role, communities, open sessions, second factor.

    Example: hearthline cloud user list --config cloud.toml
    """
    with people_of(config) as people:
        found = people.accounts.all(time.time_ns())
    say(found, json, "\n".join(_line(each) for each in found) or SPEECH.say("user.none"))


def _line(account: Account) -> str:
    places = SPEECH.say("staff.all") if account.communities is None else ", ".join(account.communities)
    told = SPEECH.say("user.line", name=account.name, role=account.role.value, places=places, sessions=account.sessions)
    more = {"user.with-factor": account.second_factor, "user.closed": account.disabled}
    return told + "".join(SPEECH.say(key) for key, holds in more.items() if holds)


def note_closed(config: Path, name: str, closed: bool) -> None:
    line = withdrawn.Line(time.time_ns(), "staff", name, closed=closed)
    withdrawn.note(load_cloud_config(config).withdrawn_path, line)


@contextmanager
def people_of(config: Path) -> Iterator[People]:
    with center(config) as (settings, database):
        yield People(database, settings.web.session_hours, settings.web.idle_minutes)


def _password(file: Path | None) -> str:
    """What the file holds, or one that is made."""
    return secrets.token_urlsafe(12) if file is None else read_secret(str(file), "--password-file") or ""


def _say_login(name: str, password: str, made: bool, as_json: bool) -> None:
    printed = {"name": name} | ({"password": password} if made else {})
    said = SPEECH.say("user.password", name=name, password=password) if made else SPEECH.say("user.login", name=name)
    say(printed, as_json, said)
