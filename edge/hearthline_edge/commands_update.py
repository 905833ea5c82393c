"""`hearthline edge update`: a new version of the agent from a release, which goes back by itself if it fails."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hearthline.errors import ConfigError
from hearthline_edge.__main__ import DEFAULT_CONFIG
from hearthline_edge.installing import Machine
from hearthline_edge.loading import load_edge_config
from hearthline_edge.update_record import Phase, Update
from hearthline_edge.updating import follow
from hearthline_edge.updating import update as begin
from hearthline_edge.updating_texts import say
from hearthline_edge.versions import own_versions


def update(
    release: Annotated[Path, typer.Argument(help="A release: its folder or its tar.", metavar="RELEASE")],
    config: Annotated[
        Path, typer.Option("--config", help="The agent's configuration file.", metavar="FILE")
    ] = DEFAULT_CONFIG,
    minutes: Annotated[float, typer.Option(help="For the center to receive from it.", min=0.5, max=120)] = 5.0,
    offline: Annotated[bool, typer.Option("--offline", help="Prove it without the center.")] = False,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Take a release that nobody signed.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")] = False,
) -> int:
    """Update the agent. It goes back to the old version by itself unless the center receives from the new one in time.

    Needs root and no network. Exits with 1 when it went back. Example: sudo hearthline edge update hearthline.tar
    """
    versions = own_versions()
    if versions is None:
        raise ConfigError(say("no-release", place=sys.prefix))
    if os.geteuid():
        raise ConfigError(say("not-root"))
    settings = load_edge_config(config)

    def tell(text: str) -> None:
        if not json:
            typer.echo(text)

    began = begin(
        release,
        settings,
        config,
        versions,
        Machine(),
        tell,
        wait_s=minutes * 60,
        offline=offline,
        unsigned=unsigned,
    )
    last = follow(began, versions)
    typer.echo(msgspec.json.encode(last).decode() if json else _end(last))
    return 0 if last.phase is Phase.PROVED else 1


def _end(update: Update) -> str:
    if update.phase is Phase.UNDONE:
        return say("undone", new=update.new, old=update.old, reason=update.reason)
    if update.phase is not Phase.PROVED:
        return say("going-on")
    lines = [say("proved-offline" if update.offline else "proved", new=update.new)]
    if update.away_s is not None:
        lines.append(say("away", seconds=update.away_s))
    return "\n".join(lines)
