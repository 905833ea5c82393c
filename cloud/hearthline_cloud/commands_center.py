"""What the commands of the center share: two options, its database, who asks, and how an answer is printed."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hearthline_cloud.config import CloudConfig, load_cloud_config
from hearthline_cloud.database import Database
from hearthline_cloud.personal.opening import open_database

ConfigOption = Annotated[Path, typer.Option("--config", help="The cloud's configuration file.", metavar="FILE")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


@contextmanager
def center(config: Path) -> Iterator[tuple[CloudConfig, Database]]:
    """The configuration, and the database with the key of its personal data. Raises ConfigError, StorageError."""
    settings = load_cloud_config(config)
    with closing(open_database(settings)) as database:
        yield settings, database


@contextmanager
def keyless(config: Path) -> Iterator[tuple[CloudConfig, Database]]:
    """The same for what needs no name and no address: the key need not be there."""
    settings = load_cloud_config(config)
    with closing(Database(settings.database_url)) as database:
        database.migrate()
        yield settings, database


def me() -> str:
    """The actor in the journal."""
    return f"command line: {getpass.getuser()}"[:64]


def say(machine: object, as_json: bool, human: str) -> None:
    typer.echo(msgspec.json.encode(machine).decode() if as_json else human)
