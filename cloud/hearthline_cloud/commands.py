"""`hearthline cloud`: run the center, migrate its database, manage its staff and its registry."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hearthline.config import read_secret
from hearthline_cloud.__main__ import DEFAULT_CONFIG, serve
from hearthline_cloud.config import load_cloud_config
from hearthline_cloud.database import Database
from hearthline_cloud.people import People, Role
from hearthline_cloud.registry import load_registry

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
user_app = typer.Typer(no_args_is_help=True, help="Staff accounts.")
registry_app = typer.Typer(no_args_is_help=True, help="Communities, homes, residents, gateways and devices.")
app.add_typer(user_app, name="user")
app.add_typer(registry_app, name="registry")

ConfigOption = Annotated[Path, typer.Option("--config", help="The cloud's configuration file.", metavar="FILE")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


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
    settings = load_cloud_config(config)
    database = Database(settings.database_url)
    database.migrate()
    database.close()
    _say({"migrated": database.name}, json, "The database is at this version's schema.")


@user_app.command("add")
def user_add(
    name: Annotated[str, typer.Argument(help="The login name.")],
    config: ConfigOption = DEFAULT_CONFIG,
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.OPERATOR,
    password_file: Annotated[
        Path | None, typer.Option(help="Read the password from here; without it one is made and printed.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Add a member of staff, or give one a new password.

    Example: hearthline cloud user add mei --config cloud.toml
    """
    settings = load_cloud_config(config)
    made = password_file is None
    password = (
        secrets.token_urlsafe(9) if password_file is None else read_secret(str(password_file), "--password-file") or ""
    )
    database = Database(settings.database_url)
    database.migrate()
    People(database, settings.web.session_hours).add_staff(name, password, role, time.time_ns())
    database.close()
    printed = {"name": name, "role": role.value} | ({"password": password} if made else {})
    _say(printed, json, f"{name} can log in" + (f" with the password {password} (shown only now)." if made else "."))


@registry_app.command("load")
def registry_load(
    file: Annotated[Path, typer.Argument(help="A TOML file; docs/examples/registry.toml shows all keys.")],
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Insert or bring up to date what the file names; everything or nothing.

    Example: hearthline cloud registry load docs/examples/registry.toml --config cloud.toml
    """
    settings = load_cloud_config(config)
    database = Database(settings.database_url)
    database.migrate()
    counts = load_registry(database, file)
    database.close()
    _say(counts, json, "Loaded: " + ", ".join(f"{count} {name}" for name, count in counts.items()) + ".")


def _say(machine: object, as_json: bool, human: str) -> None:
    typer.echo(msgspec.json.encode(machine).decode() if as_json else human)
