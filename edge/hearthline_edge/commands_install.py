"""`hearthline edge install` and `remove`: the agent as a service of the machine it runs on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hearthline.clock import SystemClock
from hearthline.errors import ConfigError
from hearthline_edge.__main__ import DEFAULT_CONFIG
from hearthline_edge.installing import Machine
from hearthline_edge.installing import install as put
from hearthline_edge.installing import remove as take_away
from hearthline_edge.loading import load_edge_config, refuse_wrong_lines
from hearthline_edge.versions import own_versions

ConfigOption = Annotated[Path, typer.Option("--config", help="The agent's configuration file.", metavar="FILE")]
RootOption = Annotated[Path, typer.Option("--root", help="Another machine's image, mounted here.", metavar="FOLDER")]


def install(
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = Path("/"),
    python: Annotated[Path | None, typer.Option(help="The interpreter of the service.", metavar="FILE")] = None,
) -> None:
    """Make the agent a service that starts by itself, with a user of its own, a broker and a bounded log.

    Needs root. May be repeated after every change, and after a power cut. Example: sudo hearthline edge install
    """
    settings = load_edge_config(config)
    refuse_wrong_lines(settings)
    put(settings, config, Machine(root), typer.echo, python)


def remove(
    config: ConfigOption = DEFAULT_CONFIG,
    root: RootOption = Path("/"),
    data: Annotated[bool, typer.Option("--data", help="Remove the outbox as well.")] = False,
    lose_events: Annotated[bool, typer.Option("--lose-events", help="Even events that the center lacks.")] = False,
    program: Annotated[bool, typer.Option("--program", help="Remove what a release laid down, too.")] = False,
) -> None:
    """Stop the service and take away what `install` wrote. The configuration stays, without --data the outbox, too.

    Needs root. Example: sudo hearthline edge remove --data
    """
    try:
        settings = load_edge_config(config)
    except ConfigError:
        if data:
            raise
        settings = None  # the service goes all the same
    trust = settings.clock.trust if settings is not None else "auto"
    now = SystemClock(trust).now()
    take_away(settings, Machine(root), now, typer.echo, with_data=data, lose=lose_events)
    versions = own_versions() if program and root == Path("/") else None
    if versions is not None:
        typer.echo(f"removed the program of {versions.root}")
        versions.remove_all()  # last: this very program is part of it
