"""`hearthline cloud store`: look at the time series, bring their place to this version's shape, move them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer

from hearthline.clock import parse_rfc3339
from hearthline.errors import ConfigError
from hearthline_cloud import store_moving as moving
from hearthline_cloud.__main__ import DEFAULT_CONFIG
from hearthline_cloud.config import load_cloud_config
from hearthline_cloud.database import Database
from hearthline_cloud.store import Keeping, keeping_of, open_store
from hearthline_cloud.store.tiers import oldest_whole_ns
from hearthline_cloud.store_checking import Finding, findings

store_app = typer.Typer(no_args_is_help=True, help="The time series: their store, what it keeps, in and out.")

ConfigOption = Annotated[Path, typer.Option("--config", help="The cloud's configuration file.", metavar="FILE")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


@dataclass(frozen=True, slots=True)
class Center:
    """What every command works with."""

    target: moving.Target
    keeping: Keeping


@store_app.command()
def check(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> int:
    """Write a probe point and read it back; say what is kept, what waits, what was refused. 1: something is wrong.

    Example: hearthline cloud store check --config cloud.toml
    """
    with _center(config) as center:
        found = findings(center.target, center.keeping)
    _say({"findings": found}, json, "\n".join(map(_in_words, found)))
    return 0 if all(each.good for each in found) else 1


@store_app.command()
def migrate(
    config: ConfigOption = DEFAULT_CONFIG,
    again: Annotated[bool, typer.Option("--again", help="Make all summaries anew.")] = False,
    json: JsonOption = False,
) -> int:
    """Make databases, retention and summaries what the configuration says. Done again, it changes nothing.

    Raw values are let go of only after everything that is there has been summarised.

    Example: hearthline cloud store migrate --config cloud.toml
    """
    with _center(config) as center:
        target, store = center.target, center.target.store
        changed = store.keep(center.keeping, target.now_ns, shorten=False)
        begin = store.oldest_ns()
        days = store.state().days
        keeps_more = days is not None and days.get("raw") != center.keeping.raw_days
        is_old = begin is not None and begin < oldest_whole_ns(target.now_ns, center.keeping.raw_days)
        problems: list[str] = []
        if begin is not None and (changed or again or keeps_more or (days is None and is_old)):
            problems = moving.roll_up_everything(store, (begin, target.now_ns), target.zone, _progress)
            changed.append("everything that is there summarised")
        if not problems:
            changed += store.keep(center.keeping, target.now_ns, shorten=True)
    lines = [*changed, *(f"not summarised, so nothing was let go of: {problem}" for problem in problems)]
    _say({"changed": changed, "problems": problems}, json, "\n".join(lines) or "Nothing to change.")
    return 1 if problems else 0


@store_app.command()
def backfill(
    config: ConfigOption = DEFAULT_CONFIG,
    after: Annotated[int, typer.Option(help="Go on after this event, as an earlier run said.")] = 0,
    json: JsonOption = False,
) -> int:
    """Store again what events have measured: vital signs, doors, motion. Values are not doubled.

    Example: hearthline cloud store backfill --config cloud.toml
    """
    with _center(config) as center:
        moved = moving.backfill(center.target, _progress, after)
    return _report(moved, json)


@store_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="Line protocol, nanoseconds; - reads it from standard input.")],
    config: ConfigOption = DEFAULT_CONFIG,
    skip: Annotated[int, typer.Option(help="Leave out so many lines, as an earlier run said.", min=0)] = 0,
    json: JsonOption = False,
) -> int:
    """Store line protocol, in batches; summaries follow. A repeat doubles nothing. 1: some lines were refused.

    Example: hearthline cloud store import readings.lp --config cloud.toml
    """
    with _center(config) as center:
        if str(file) == "-":
            moved = moving.import_lines(sys.stdin, center.target, _progress, skip)
        else:
            try:
                with file.open(encoding="utf-8") as source:
                    moved = moving.import_lines(source, center.target, _progress, skip)
            except OSError as error:
                raise ConfigError(f"{file}: {error.strerror}") from None
    return _report(moved, json)


@store_app.command()
def export(
    config: ConfigOption = DEFAULT_CONFIG,
    begin: Annotated[str | None, typer.Option("--from", help="RFC 3339; by default everything.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="RFC 3339, excluded; by default now.")] = None,
) -> None:
    """Print raw values as line protocol, day after day. Interrupted, it goes on with `--from`.

    Example: hearthline cloud store export --from 2026-11-01T00:00:00+08:00 --config cloud.toml > november.lp
    """
    with _center(config) as center:
        oldest = center.target.store.oldest_ns() or 0
        span = (_moment(begin, "--from", oldest), _moment(end, "--to", center.target.now_ns))
        written = moving.export_lines(center.target.store, sys.stdout, span, center.target.zone, _progress)
    _progress(f"{written} points exported")


@store_app.command()
def refused(
    config: ConfigOption = DEFAULT_CONFIG,
    retry: Annotated[bool, typer.Option("--retry", help="Offer them to the store again.")] = False,
    json: JsonOption = False,
) -> int:
    """List the points that the store has refused and that are kept aside, or offer them to it again.

    Example: hearthline cloud store refused --retry --config cloud.toml
    """
    with _center(config) as center:
        if retry:
            return _report(moving.retry_refused(center.target), json)
        found = moving.refused_points(center.target.database)
        kept = [{"reason": reason, **asdict(point)} for _, reason, point in found]
    _say(kept, json, "\n".join(msgspec.json.encode(each).decode() for each in kept) or "None.")
    return 0


@contextmanager
def _center(config: Path) -> Iterator[Center]:
    settings = load_cloud_config(config)
    database = Database(settings.database_url)
    store = open_store(settings.store, settings.directory)
    try:
        database.migrate()
        zone, raw_days = ZoneInfo(settings.store.zone), settings.store.raw_days
        target = moving.Target(database, store, zone, raw_days, time.time_ns())
        yield Center(target, keeping_of(settings.store))
    finally:
        store.close()
        database.close()


def _report(moved: moving.Moved, as_json: bool) -> int:
    lines = [f"{moved.points} points stored, {moved.refused} refused.", *moved.reasons]
    machine = {"points": moved.points, "refused": moved.refused, "reasons": moved.reasons}
    _say(machine, as_json, "\n".join(lines))
    return 1 if moved.refused else 0


def _moment(text: str | None, option: str, otherwise: int) -> int:
    if text is None:
        return otherwise
    try:
        return parse_rfc3339(text)
    except (ValueError, OverflowError):
        raise ConfigError(f"{option} {text!r}: write it as 2026-11-22T00:00:00+08:00") from None


def _in_words(finding: Finding) -> str:
    return f"{'ok ' if finding.good else 'NOT'}  {finding.what}: {finding.found}"


def _progress(text: str) -> None:
    typer.echo(text, err=True)


def _say(machine: object, as_json: bool, human: str) -> None:
    typer.echo(msgspec.json.encode(machine).decode() if as_json else human)
