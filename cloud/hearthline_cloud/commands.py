"""`hearthline cloud`: run the center, migrate its database, manage its staff and its registry."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
PasswordFileOption = Annotated[
    Path | None, typer.Option(help="Read the password from here; without it one is made and printed.")
]
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
    password_file: PasswordFileOption = None,
    json: JsonOption = False,
) -> None:
    """Add a member of staff.

    Example: hearthline cloud user add mei --config cloud.toml
    """
    password = _password(password_file)
    with _people(config) as people:
        people.add_staff(name, password, role, time.time_ns())
    _say_login(name, password, password_file is None, json)


@user_app.command("password")
def user_password(
    name: Annotated[str, typer.Argument(help="The login name.")],
    config: ConfigOption = DEFAULT_CONFIG,
    password_file: PasswordFileOption = None,
    json: JsonOption = False,
) -> None:
    """Give a member of staff a new password and end that person's sessions.

    Example: hearthline cloud user password mei --config cloud.toml
    """
    password = _password(password_file)
    with _people(config) as people:
        people.set_password(name, password)
    _say_login(name, password, password_file is None, json)


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


@contextmanager
def _people(config: Path) -> Iterator[People]:
    settings = load_cloud_config(config)
    database = Database(settings.database_url)
    try:
        database.migrate()
        yield People(database, settings.web.session_hours)
    finally:
        database.close()


def _password(file: Path | None) -> str:
    """What the file holds, or one that is made."""
    return secrets.token_urlsafe(9) if file is None else read_secret(str(file), "--password-file") or ""


def _say_login(name: str, password: str, made: bool, as_json: bool) -> None:
    printed = {"name": name} | ({"password": password} if made else {})
    _say(printed, as_json, f"{name} can log in" + (f" with the password {password} (shown only now)." if made else "."))


def _say(machine: object, as_json: bool, human: str) -> None:
    typer.echo(msgspec.json.encode(machine).decode() if as_json else human)
