"""`import` of each kind, and of `hearthline cloud registry`: tables into the registry, checked whole before."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from hearthline.errors import ConfigError
from hearthline.speech import language
from hearthline_cloud.alerts.notes import PORT
from hearthline_cloud.alerts.profiles import PROFILES
from hearthline_cloud.commands_center import center, me, say
from hearthline_cloud.commands_registry_shared import command, files, flag, option
from hearthline_cloud.commands_registry_texts import SPEECH
from hearthline_cloud.registry import importing
from hearthline_cloud.registry.checking import Found, Plan, Rules
from hearthline_cloud.registry.importing import Stage
from hearthline_cloud.registry.report import all_problems, as_row, in_line
from hearthline_cloud.registry.shape import REGISTERED, Kind
from hearthline_cloud.registry.tables import Read, read_table
from hearthline_cloud.registry.template import csv_template, workbook_template
from hearthline_cloud.registry.texts import kind_word

_MOST_MIB = 100  # of a file


def add_import(app: typer.Typer, kind: Kind | None) -> None:
    """`kind`: what the files hold; None: their names and sheets say, or `--kind`."""
    parameters = [files(), flag("dry_run"), flag("update"), option("template", Path | None, None, "option.template")]
    if kind is None:
        parameters.append(option("kind", Kind | None, None, "option.kind"))
    name, sheet = (f"{kind}", f"{kind}s.csv --dry-run") if kind else ("cloud registry", "registry.xlsx --dry-run")
    help_ = SPEECH.say("help.import", example=f"hearthline {name} import {sheet}")

    def run(config: Path, as_json: bool, file: list[Path] | None, template: Path | None, **how: Any) -> int:
        chosen = how.pop("kind", None) or kind
        if template is not None:
            _make_template(template, chosen, as_json)
            return 0
        if not file:
            raise ConfigError(SPEECH.say("no-file"))
        return _import(file, chosen, config, as_json, **how)

    command(app, "import", help_, parameters, run)


def _import(files: Sequence[Path], kind: Kind | None, config: Path, as_json: bool, dry_run: bool, update: bool) -> int:
    read = Read()
    for file in files:
        read_table(content_of(file), file.name, kind, read)
    rules, now_ns = Rules(update=update), time.time_ns()
    with center(config) as (_, database), _progress(as_json) as progress:
        if dry_run or read.problems:
            plan = importing.look_through(database, read.entries, rules, now_ns, progress)
        else:
            plan = importing.bring_in(database, read.entries, rules, me(), now_ns, progress)
    problems = all_problems(read, plan)
    is_written = not problems and not dry_run
    say(_for_machines(plan, problems, is_written), as_json, _for_people(plan, problems, dry_run))
    return 1 if problems else 0


def content_of(file: Path) -> bytes:
    try:
        if file.stat().st_size > _MOST_MIB * 2**20:
            raise ConfigError(SPEECH.say("file-too-large", file=file, most=_MOST_MIB))
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(SPEECH.say("cannot-read", file=file, why=error.strerror)) from None


def _for_machines(plan: Plan, problems: list[Found], is_written: bool) -> dict[str, Any]:
    return {"written": is_written, "counts": importing.counts(plan), "problems": [as_row(each) for each in problems]}


def _for_people(plan: Plan, problems: list[Found], dry_run: bool) -> str:
    if problems:
        return "\n".join([*(in_line(each) for each in problems), SPEECH.say("problems", count=len(problems))])
    told = [SPEECH.say("count", what=kind_word(Kind(kind)), **each) for kind, each in importing.counts(plan).items()]
    return "\n".join([*told, SPEECH.say("would" if dry_run else "imported")])


@contextmanager
def _progress(as_json: bool) -> Iterator[importing.Progress]:
    """A bar on a terminal; silence elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    is_quiet = as_json or not sys.stderr.isatty()
    tasks: dict[Stage, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), disable=is_quiet) as bar:

        def show(stage: Stage, done: int, total: int) -> None:
            if is_quiet or (done % 100 and done != total):
                return
            if stage not in tasks:
                tasks[stage] = bar.add_task(SPEECH.say(f"stage.{stage}"), total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield show


def _make_template(file: Path, kind: Kind | None, as_json: bool) -> None:
    match file.suffix.casefold(), kind:
        case ".csv", Kind():
            content = csv_template(kind, language())
        case ".xlsx", _:
            content = workbook_template([kind] if kind else REGISTERED, language(), _notes())
        case _:
            raise ConfigError(SPEECH.say("template-kind", file=file, csv=SPEECH.say("or-csv") if kind else ""))
    write_template(file, content, as_json)


def write_template(file: Path, content: bytes, as_json: bool) -> None:
    """Raises ConfigError, also for a file that is there."""
    try:
        with file.open("xb") as into:
            into.write(content)
    except FileExistsError:
        raise ConfigError(SPEECH.say("is-there", file=file)) from None
    except OSError as error:
        raise ConfigError(SPEECH.say("cannot-write", file=file, why=error.strerror)) from None
    say({"template": str(file)}, as_json, SPEECH.say("template-done", file=file))


def _notes() -> tuple[str, list[str]]:
    kinds = ", ".join(kind for kind in PROFILES if kind != PORT)
    lines = [SPEECH.say("notes.first"), SPEECH.say("notes.id"), SPEECH.say("notes.device", kinds=kinds)]
    return SPEECH.say("notes.title"), lines
