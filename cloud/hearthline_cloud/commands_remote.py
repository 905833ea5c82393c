"""`hearthline gateway state|log|configure|test` at the center: remote hands from a terminal.

Whoever may read the database may use them; the journal names the machine's user.
"""

from __future__ import annotations

import time
import tomllib
from pathlib import Path
from typing import Annotated, Any

import click
import msgspec
import typer

from hearthline.errors import ConfigError, RefusedError
from hearthline.remote import MAX_LINES
from hearthline_cloud.__main__ import DEFAULT_CONFIG
from hearthline_cloud.api.model import LaneDepth
from hearthline_cloud.api.remote_reads import Ask, Remote, one_ask, remote_of
from hearthline_cloud.commands_center import center, me
from hearthline_cloud.commands_remote_texts import SPEECH
from hearthline_cloud.config import CloudConfig
from hearthline_cloud.database import Database
from hearthline_cloud.proof import await_proof, in_words
from hearthline_cloud.remote.asking import Order, ask
from hearthline_cloud.remote.asks import OPEN, State, What
from hearthline_cloud.scoping import EVERY
from hearthline_cloud.selftesting import ask as ask_for_proof
from hearthline_cloud.wake import Waker

_LOOK_EVERY_S = 0.2
_ANSWER_S = 30.0

GatewayArgument = Annotated[str, typer.Argument(help=SPEECH.say("argument.gateway"), metavar="GATEWAY")]
ConfigOption = Annotated[Path, typer.Option("--config", help=SPEECH.say("option.config"), metavar="FILE")]
JsonOption = Annotated[bool, typer.Option("--json", help=SPEECH.say("option.json"))]
WaitOption = Annotated[float, typer.Option("--wait", help=SPEECH.say("option.wait"), min=0)]


def state(
    gateway: GatewayArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    examine: Annotated[bool, typer.Option("--examine", help=SPEECH.say("option.examine"))] = False,
    wait: WaitOption = _ANSWER_S,
    json: JsonOption = False,
) -> int:
    with center(config) as (settings, database):
        asked = _ordered(settings, database, gateway, Order(What.EXAMINE), wait) if examine else None
        found = _known(database, gateway)
    if json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        typer.echo("\n".join(_state_lines(found)))
        if examine and found.examination is not None:
            for check in found.examination.checks:
                typer.echo(f"{SPEECH.say('right' if check.ok else 'wrong')} {check.name}: {check.sentence}")
    return 0 if asked is None else _verdict(gateway, asked, quiet=True)


def log(
    gateway: GatewayArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    lines: Annotated[int, typer.Option("--lines", help=SPEECH.say("option.lines"), min=1, max=MAX_LINES)] = 100,
    wait: WaitOption = _ANSWER_S,
    json: JsonOption = False,
) -> int:
    with center(config) as (settings, database):
        asked = _ordered(settings, database, gateway, Order(What.LOG, lines=lines), wait)
        found = _known(database, gateway).log if asked.state == State.DONE else None
    if found is not None and json:
        typer.echo(msgspec.json.encode(found).decode())
    elif found is not None:
        for line in found.lines:
            typer.echo(f"{line.time} {line.level:7} {line.text}".strip())
        if found.left_out:
            typer.echo(SPEECH.say("left-out", count=found.left_out), err=True)
    return _verdict(gateway, asked, quiet=True)


def configure(
    gateway: GatewayArgument,
    file: Annotated[str | None, typer.Argument(help=SPEECH.say("argument.file"), metavar="[FILE|-]")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    reset: Annotated[bool, typer.Option("--reset", help=SPEECH.say("option.reset"))] = False,
    within: Annotated[float | None, typer.Option("--within", help=SPEECH.say("option.within"))] = None,
    wait: WaitOption = 180.0,
    json: JsonOption = False,
) -> int:
    if (file is None) != reset:
        raise ConfigError(SPEECH.say("file-or-reset"))
    changed = {} if file is None else _toml(file)
    with center(config) as (settings, database):
        asked = _ordered(settings, database, gateway, Order(What.CONFIGURE, changed, within_s=within), wait)
    if json:
        typer.echo(msgspec.json.encode(asked).decode())
    return _verdict(gateway, asked, quiet=json)


def prove(
    gateway: GatewayArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    output: Annotated[bool, typer.Option("--output", help=SPEECH.say("option.output"))] = False,
    wait: WaitOption = _ANSWER_S,
    json: JsonOption = False,
) -> int:
    with center(config) as (settings, database):
        if output:
            asked = _ordered(settings, database, gateway, Order(What.TEST), wait)
            if json:
                typer.echo(msgspec.json.encode(asked).decode())
            return _verdict(gateway, asked, quiet=json)
        made = ask_for_proof(database, gateway, me(), time.time_ns())
        _wake(settings)
        found = await_proof(database, made, wait)
    typer.echo(msgspec.json.encode(found).decode() if json else in_words(gateway, found))
    return 0 if found.round_s is not None else 1


def add_to(app: typer.Typer) -> None:
    """All of them as subcommands of `hearthline gateway`."""
    for name, command in (("state", state), ("log", log), ("configure", configure), ("test", prove)):
        app.command(name, help=SPEECH.say(f"help.{name}"))(command)


def _ordered(settings: CloudConfig, database: Database, gateway: str, order: Order, wait_s: float) -> Ask:
    """The ask as soon as it has its last word, or at the end of the time. Raises RefusedError."""
    with database.transaction() as connection:
        made = ask(connection, gateway, order, me(), time.time_ns(), EVERY)
    _wake(settings)
    deadline = time.monotonic() + wait_s
    while True:
        with database.reading() as connection:
            found = one_ask(connection, made)
        if State(found.state) not in OPEN or time.monotonic() > deadline:
            return found
        time.sleep(_LOOK_EVERY_S)


def _wake(settings: CloudConfig) -> None:
    waker = Waker(settings.directory)
    waker.wake("ingest")
    waker.close()


def _known(database: Database, gateway: str) -> Remote:
    with database.reading() as connection:
        return remote_of(connection, gateway, time.time_ns(), EVERY)


def _verdict(gateway: str, asked: Ask, *, quiet: bool) -> int:
    """0: done. What went wrong is said in any case."""
    if asked.state == State.DONE:
        if not quiet:
            key = "done" if asked.deaf_s is None else "done.deaf"
            typer.echo(SPEECH.say(key, gateway=gateway, seconds=asked.deaf_s))
        return 0
    key = {State.ASKED: "waits"}.get(State(asked.state), asked.state)
    raise RefusedError(SPEECH.say(key, gateway=gateway, reason=asked.reason))


def _state_lines(found: Remote) -> list[str]:
    gateway = found.gateway
    lines = [SPEECH.say("state", gateway=gateway.id, state=gateway.state, version=gateway.version or "–")]
    if gateway.last_seen:
        lines.append(SPEECH.say("seen", at=gateway.last_seen))
    for key, lane in (("events", gateway.event_lane), ("readings", gateway.telemetry_lane)):
        if lane is not None:
            lines.append(_lane(SPEECH.say(key), lane))
    lines += [SPEECH.say("fault", fault=fault) for fault in gateway.faults]
    keys = ", ".join(sorted(found.config))
    lines.append(SPEECH.say("changed", keys=keys) if keys else SPEECH.say("unchanged"))
    return [*lines, SPEECH.say("differs")] if found.differs else lines


def _lane(what: str, lane: LaneDepth) -> str:
    return SPEECH.say("lane", what=what, depth=lane.depth or 0, oldest=f"{lane.oldest_s or 0:.0f}")


def _toml(file: str) -> dict[str, Any]:
    """Raises ConfigError."""
    try:
        with click.open_file(file, encoding="utf-8") as opened:
            return tomllib.loads(opened.read())
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(SPEECH.say("no-toml", file=file, error=error)) from None
