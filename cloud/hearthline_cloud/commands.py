"""`hearthline cloud`: run the center, migrate its database, manage its staff and its registry."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hearthline_cloud import journal
from hearthline_cloud.__main__ import DEFAULT_CONFIG, serve
from hearthline_cloud.alerts.self_test import Standing
from hearthline_cloud.commands_backup import backup, backup_key, restore, withdraw_again
from hearthline_cloud.commands_center import ConfigOption, JsonOption, center, keyless, say
from hearthline_cloud.commands_identity import broker_config, ca_app
from hearthline_cloud.commands_personal import key_app
from hearthline_cloud.commands_policy import notify_app, policy_app
from hearthline_cloud.commands_registry_import import add_import
from hearthline_cloud.commands_resident import resident_app
from hearthline_cloud.commands_retention import retention_app
from hearthline_cloud.commands_store import store_app
from hearthline_cloud.commands_user import user_app
from hearthline_cloud.proof import await_proof, in_words
from hearthline_cloud.registry.file import load_registry
from hearthline_cloud.selftesting import ask
from hearthline_cloud.tracing import in_words as in_words_of_trace
from hearthline_cloud.tracing import trace
from hearthline_cloud.wake import Waker

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
registry_app = typer.Typer(no_args_is_help=True, help="Communities, homes, residents, gateways and devices.")
journal_app = typer.Typer(no_args_is_help=True, help="The journal of everything that happened.")
add_import(registry_app, None)
app.add_typer(user_app, name="user")
app.add_typer(registry_app, name="registry")
app.add_typer(journal_app, name="journal")
app.add_typer(policy_app, name="policy")
app.add_typer(notify_app, name="notify")
app.add_typer(ca_app, name="ca")
app.add_typer(store_app, name="store")
app.add_typer(retention_app, name="retention")
app.add_typer(key_app, name="personal-key")
app.add_typer(resident_app, name="resident")
app.command("broker-config")(broker_config)
app.command("backup")(backup)
app.command("backup-key")(backup_key)
app.command("restore")(restore)
app.command("withdraw-again")(withdraw_again)


@app.callback()
def cloud() -> None:
    """The community center: ingester, alert desk, console.

    Example: hearthline cloud run --config docs/examples/cloud.toml
    """


@app.command()
def run(
    config: ConfigOption = DEFAULT_CONFIG,
    role: Annotated[list[str] | None, typer.Option(help="ingest, desk or web; all three by default.")] = None,
) -> int:
    """Run the center's roles in this process until Ctrl-C.

    Example: hearthline cloud run --config cloud.toml --role ingest --role desk
    """
    return serve(config, role or [])


@app.command()
def migrate(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Bring the database to this version's schema.

    Example: hearthline cloud migrate --config cloud.toml
    """
    with center(config) as (_, database):
        name = database.name
    say({"migrated": name}, json, "The database is at this version's schema.")


@registry_app.command("load")
def registry_load(
    file: Annotated[Path, typer.Argument(help="A TOML file; docs/examples/registry.toml shows all keys.")],
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Insert or bring up to date what the file names; everything or nothing.

    Example: hearthline cloud registry load docs/examples/registry.toml --config cloud.toml
    """
    with center(config) as (_, database):
        counts = load_registry(database, file)
    say(counts, json, "Loaded: " + ", ".join(f"{count} {name}" for name, count in counts.items()) + ".")


@app.command("test")
def self_test(
    gateway: Annotated[str, typer.Argument(help="The gateway's id.")],
    config: ConfigOption = DEFAULT_CONFIG,
    wait: Annotated[float, typer.Option(help="Seconds to wait for the proof.")] = 30.0,
    json: JsonOption = False,
) -> int:
    """Let a gateway prove its way to this center with a marked alarm that pages nobody; 1 if it does not.

    Example: hearthline cloud test gw-east-1 --config cloud.toml
    """
    with center(config) as (settings, database), closing(Waker(settings.directory)) as waker:
        test = ask(database, gateway, "command line", time.time_ns())
        waker.wake("ingest")
        found = await_proof(database, test, wait)
    say(asdict(found), json, in_words(gateway, found))
    return 0 if found.standing == Standing.PROVED else 1


@app.command("trace")
def trace_alert(
    alert: Annotated[int, typer.Argument(help="The number of the alert.")],
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> int:
    """Show the way of an alert hop by hop: through the gateway, the center and people; 1 when there is none.

    Example: hearthline cloud trace 17 --config cloud.toml
    """
    with keyless(config) as (_, database), database.reading() as connection:
        found = trace(connection, alert)
    if found is None:
        typer.echo(f"there is no alert {alert}", err=True)
        return 1
    say(found, json, in_words_of_trace(found))
    return 0


@journal_app.command("check")
def journal_check(
    config: ConfigOption = DEFAULT_CONFIG,
    head: Annotated[str | None, typer.Option(help="A hash that an earlier check printed: is it still there?")] = None,
    json: JsonOption = False,
) -> int:
    """Walk the chain of hashes; 1 when an entry was changed, removed, inserted or moved.

    Note the head that it prints outside of this machine: who writes the whole chain anew cannot hide from it.

    Example: hearthline cloud journal check --config cloud.toml
    """
    with keyless(config) as (_, database), database.reading() as connection:
        verdict = journal.check(connection, head)
    is_lost = head is not None and verdict.known_at is None
    say(verdict, json, _verdict_for_people(verdict, head))
    return 1 if verdict.broken_at is not None or is_lost else 0


@journal_app.command("export")
def journal_export(
    alert: Annotated[int, typer.Option(help="The number of the alert.")], config: ConfigOption = DEFAULT_CONFIG
) -> int:
    """Print every entry of one case as JSON lines, with its hash and the hash before it.

    Example: hearthline cloud journal export --alert 17 --config cloud.toml > case-17.jsonl
    """
    with keyless(config) as (_, database), database.reading() as connection:
        entries = list(journal.case(connection, alert))
    for entry in entries:
        typer.echo(msgspec.json.encode(entry))
    if not entries:
        typer.echo(f"there is no alert {alert} in the journal", err=True)
    return 0 if entries else 1


def _verdict_for_people(verdict: journal.Verdict, head: str | None) -> str:
    if verdict.broken_at is not None:
        return f"The journal is broken at entry {verdict.broken_at}: it, or one before it, is not as it was written."
    lines = [f"{verdict.entries} entries, none changed. Head: {verdict.head}"]
    if verdict.removed:
        lines.append(
            f"{verdict.removed} older ones were removed by their retention period; the chain begins after them."
        )
    if head is not None and verdict.known_at is None:
        lines = [f"No entry has the hash {head}: the journal was written anew, or the hash is of another journal."]
    elif head is not None:
        lines.append(f"The given hash is that of entry {verdict.known_at}.")
    return "\n".join(lines)
