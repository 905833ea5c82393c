"""`hearthline cloud retention`: how long what is kept, and what is due; remove it now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hearthline.clock import rfc3339
from hearthline_cloud.__main__ import DEFAULT_CONFIG
from hearthline_cloud.commands_center import ConfigOption, JsonOption, keyless, say
from hearthline_cloud.retention.job import remove_all
from hearthline_cloud.retention.removing import Standing, standing, tell

retention_app = typer.Typer(no_args_is_help=True, help="How long what is kept.")

_BREATH_S = 0.05


@retention_app.command("show")
def show(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Each kind of data: how many days it is kept, how many rows are older now, and until when older ones are gone.

    Example: hearthline cloud retention show --config cloud.toml
    """
    _say_standing(_standing(config), json)


@retention_app.command("run")
def run(
    config: ConfigOption = DEFAULT_CONFIG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many rows would go.")] = False,
    json: JsonOption = False,
) -> None:
    """Remove now what is due in this round, as the role desk does each hour; beside a running center, too.

    Example: hearthline cloud retention run --dry-run --config cloud.toml
    """
    if dry_run:
        _say_standing(_standing(config), json)
        return
    with keyless(config) as (settings, database):
        remove_all(database, settings.retention, time.time_ns(), _breathe)
        removed = tell(database, time.time_ns())
    said = ", ".join(f"{rows} {kind}" for kind, rows in removed.items()) or "nothing: all of it is younger"
    say({"removed": removed}, json, f"Removed: {said}.")


def _breathe() -> bool:
    """Who waits to write goes first."""
    time.sleep(_BREATH_S)
    return False


def _standing(config: Path) -> list[Standing]:
    with keyless(config) as (settings, database), database.reading() as connection:
        return standing(connection, settings.retention, time.time_ns())


def _say_standing(found: list[Standing], as_json: bool) -> None:
    if as_json:
        typer.echo(msgspec.json.encode({"kinds": found}).decode())
        return
    for each in found:
        gone = "nothing removed yet" if each.until_ns is None else f"none from before {rfc3339(each.until_ns)[:10]}"
        typer.echo(f"{each.kind:11} {each.days:5} days  {each.due:8} due now  {gone}")
