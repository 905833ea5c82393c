"""`hearthline cloud resident`: what a person has agreed to, everything about the person, and the end of it."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hearthline.errors import ConfigError
from hearthline_cloud.__main__ import DEFAULT_CONFIG
from hearthline_cloud.commands_center import ConfigOption, JsonOption, center, me, say
from hearthline_cloud.identity.authority import write_secret
from hearthline_cloud.personal import erasing
from hearthline_cloud.personal.consents import By, Kind, agree, list_consents, withdraw
from hearthline_cloud.personal.exporting import export, page
from hearthline_cloud.store import open_store

resident_app = typer.Typer(no_args_is_help=True, help="One resident: consents, export, erasure.")

IdArgument = Annotated[str, typer.Argument(help="The resident's id.", metavar="RESIDENT")]
KindArgument = Annotated[Kind, typer.Argument(help="What it is about.")]


@resident_app.command("consent")
def consent(
    resident: IdArgument,
    kind: KindArgument,
    document: Annotated[str, typer.Option(help="Which document and version was signed.")],
    config: ConfigOption = DEFAULT_CONFIG,
    guardian: Annotated[str, typer.Option(help="The name of the guardian, where one agreed.")] = "",
    json: JsonOption = False,
) -> None:
    """Write down what a resident, or the guardian, has agreed to.

    Example: hearthline cloud resident consent r-1 vitals --document "form 3 of 2026-05" --config cloud.toml
    """
    by = By.GUARDIAN if guardian else By.RESIDENT
    with center(config) as (_, database), database.transaction() as connection:
        number = agree(connection, resident, kind, by, guardian, document, me(), time.time_ns())
    say({"consent": number}, json, f"Consent {number}: {kind} agreed to by the {by}.")


@resident_app.command("withdraw")
def withdraw_consent(
    resident: IdArgument, kind: KindArgument, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False
) -> None:
    """Write down that a consent is withdrawn; what can stop, stops at once.

    Example: hearthline cloud resident withdraw r-1 vitals --config cloud.toml
    """
    with center(config) as (_, database), database.transaction() as connection:
        number = withdraw(connection, resident, kind, me(), time.time_ns())
    say({"consent": number}, json, f"{kind} is withdrawn.")


@resident_app.command("consents")
def consents(resident: IdArgument, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """List what a resident has agreed to and withdrawn.

    Example: hearthline cloud resident consents r-1 --config cloud.toml
    """
    with center(config) as (_, database), database.reading() as connection:
        rows = list_consents(connection, resident)
    lines = [
        f"{row.id} {row.kind}: {row.document or 'never recorded'}, by the {row.agreed_by}"
        + (", withdrawn" if row.withdrawn_ns is not None else "")
        for row in rows
    ]
    say([row._asdict() for row in rows], json, "\n".join(lines) or "Nothing is recorded.")


@resident_app.command("export")
def export_resident(
    resident: IdArgument,
    to: Annotated[Path, typer.Option("--to", help="A folder that is absent.", metavar="DIR")],
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Write everything that the center has of a resident into two files, JSON and HTML.

    Example: hearthline cloud resident export r-1 --to /root/r-1 --config cloud.toml
    """
    if to.exists():
        raise ConfigError(f"--to {to}: something is there already; give a folder that is absent")
    with center(config) as (settings, database), closing(open_store(settings.store, settings.directory)) as store:
        found = export(database, store, resident, me(), time.time_ns())
    try:
        to.mkdir(mode=0o700)
        write_secret(to / "export.json", msgspec.json.format(msgspec.json.encode(found), indent=1))
        write_secret(to / "export.html", page(found, resident).encode())
    except OSError as error:
        raise ConfigError(f"--to {to}: cannot be written: {error.strerror}") from None
    counts = {name: len(rows) for name, rows in found.items()}
    say(counts, json, f"{to}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))


@resident_app.command("erase")
def erase_resident(
    resident: IdArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Without it nothing is done: there is no way back.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Erase a resident. Stopped in the middle, or while the time-series store is away, it goes on when run again.

    Example: hearthline cloud resident erase r-1 --yes --config cloud.toml
    """
    if not yes:
        raise ConfigError("erase: there is no way back; say so with --yes. Nothing was changed")
    with center(config) as (settings, database):
        is_new = erasing.erase(database, resident, me(), time.time_ns())
        stores = erasing.finish(database, settings.store, settings.directory, time.time_ns())
    done = "is erased" if is_new else "was erased before"
    listed = settings.directory / erasing.LIST_FILE
    say(
        {"resident": resident, "new": is_new, "series": stores, "list": str(listed)},
        json,
        f"{resident} {done}. Take the entry out of the registry file, and copy {listed} to where the backups are: a "
        "restore of one from before needs it (--erased).",
    )
