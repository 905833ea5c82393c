"""`hearthline staff import`: accounts from a table. Each gets a password that is made, and told once; all or none."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from hearthline.errors import ConfigError
from hearthline.speech import language
from hearthline_cloud.commands_center import me, say
from hearthline_cloud.commands_registry_import import content_of, write_template
from hearthline_cloud.commands_registry_shared import command, files, flag, option
from hearthline_cloud.commands_registry_texts import SPEECH
from hearthline_cloud.commands_user import people_of
from hearthline_cloud.people import Accounts
from hearthline_cloud.people.accounts import NewAccount
from hearthline_cloud.permissions import Role
from hearthline_cloud.registry.checking import Entry, Found, Plan
from hearthline_cloud.registry.cleaning import clean, missing
from hearthline_cloud.registry.report import all_problems, as_row, in_line
from hearthline_cloud.registry.shape import Kind, problem
from hearthline_cloud.registry.tables import Read, read_table
from hearthline_cloud.registry.template import csv_template
from hearthline_cloud.registry.texts import TEXTS

_EVERY = ("", "all", "全部")


def add_import(app: typer.Typer, help_: str) -> None:
    parameters = [files(), flag("dry_run"), option("template", Path | None, None, "option.template")]
    command(app, "import", help_, parameters, _run)


def _run(config: Path, as_json: bool, file: list[Path] | None, template: Path | None, dry_run: bool) -> int:
    if template is not None:
        if template.suffix.casefold() != ".csv":
            raise ConfigError(SPEECH.say("template-csv", file=template))
        write_template(template, csv_template(Kind.STAFF, language()), as_json)
        return 0
    if not file:
        raise ConfigError(SPEECH.say("no-file"))
    read, plan = Read(), Plan()
    for each in file:
        read_table(content_of(each), each.name, Kind.STAFF, read)
    with people_of(config) as people:
        wishes = list(_wishes(read.entries, people.accounts, plan))
        problems = all_problems(read, plan)
        if not problems and not dry_run:
            people.accounts.add_all(wishes, time.time_ns(), me())
    made = [] if problems or dry_run else [{"name": each.name, "password": each.password} for each in wishes]
    machine = {"written": bool(made), "accounts": made, "problems": [as_row(each) for each in problems]}
    say(machine, as_json, _in_words(wishes, problems, made, dry_run))
    return 1 if problems else 0


def _wishes(entries: Iterable[Entry], accounts: Accounts, plan: Plan) -> Iterable[NewAccount]:
    """The accounts of the rows that have no problem; the problems go into the plan."""
    there, known = accounts.names_and_communities()
    first: dict[str, Entry] = {}
    for entry in entries:
        values, problems = clean(Kind.STAFF, entry.raw, time.time_ns())
        problems += missing(Kind.STAFF, entry.raw)
        name, role = str(values.get("name") or ""), _role(values.get("role"))
        communities = _communities(values.get("communities"))
        if role is None and values.get("role"):
            problems.append(problem("no-role", "role", role=values["role"], roles=", ".join(Role)))
        problems += [problem("no-such", "communities", id=each, what=Kind.COMMUNITY)
                     for each in communities or () if each not in known]  # fmt: skip
        if name in there:
            problems.append(problem("exists", "name", id=name, what=Kind.STAFF))
        if name and (other := first.setdefault(name, entry)) is not entry:
            problems.append(problem("twice", "name", where=other.where))
        plan.problems += [Found(entry, each) for each in problems]
        if not problems and role is not None:
            yield NewAccount(name, secrets.token_urlsafe(12), role, communities)


def _role(written: Any) -> Role | None:
    """By its name, or as the console calls it in Chinese."""
    said = str(written or "").casefold()
    return next((role for role in Role if said in (role.value, TEXTS[f"role.{role}"][0])), None)


def _communities(written: Any) -> list[str] | None:
    """None: every one."""
    text = str(written or "").strip()
    if text.casefold() in _EVERY:
        return None
    return [each for each in re.split(r"[\s,;，；、]+", text) if each]


def _in_words(wishes: list[NewAccount], problems: list[Found], made: list[dict[str, str]], dry_run: bool) -> str:
    if problems:
        return "\n".join([*(in_line(each) for each in problems), SPEECH.say("problems", count=len(problems))])
    if dry_run:
        return "\n".join([SPEECH.say("staff.count", count=len(wishes)), SPEECH.say("would")])
    return "\n".join([*(f"{each['name']}  {each['password']}" for each in made), SPEECH.say("staff.passwords")])
