"""`hearthline device add` in the home: an installer binds a device, by the wizard or with every answer as an option."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hearthline.errors import ConfigError
from hearthline_edge.__main__ import DEFAULT_CONFIG
from hearthline_edge.control import SOCKET
from hearthline_edge.control_client import ControlClient
from hearthline_edge.devices import MqttDriver, find_drivers
from hearthline_edge.loading import load_edge_config
from hearthline_edge.pairing import ANY, FAMILIES, ROOMS
from hearthline_edge.pairing_texts import SPEECH
from hearthline_edge.pairing_wizard import Given, Wizard
from hearthline_edge.terminal import LeftError, Terminal

_ROLES = ("emergency", "service", "cancel", "ignore")
_DONE = ("bound", "waiting", "unknown-gateway")
_say = SPEECH.say
_families = ", ".join(family.name for family in (*FAMILIES, ANY))
_rooms = ", ".join(ROOMS)
app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help=f"{_say('help.group')} {_say('help.example')}",
)


@app.callback()
def device() -> None:
    pass


@app.command(help=f"{_say('help')}\n\n{_say('help.example')}")
def add(
    config: Annotated[Path, typer.Option("--config", help=_say("help.config"), metavar="FILE")] = DEFAULT_CONFIG,
    family: Annotated[str, typer.Option(help=_say("help.family", names=_families), metavar="NAME")] = "",
    id_: Annotated[str, typer.Option("--id", help=_say("help.id"), metavar="ID")] = "",
    name: Annotated[str, typer.Option(help=_say("help.name"), metavar="TEXT")] = "",
    room: Annotated[str, typer.Option(help=_say("help.room", names=_rooms), metavar="ROOM")] = "",
    kind: Annotated[str, typer.Option(help=_say("help.kind"), metavar="KIND")] = "",
    button: Annotated[list[str] | None, typer.Option(help=_say("help.button"), metavar="BUTTON=ROLE")] = None,
    user: Annotated[int | None, typer.Option(help=_say("help.user"), min=0, max=255, metavar="NUMBER")] = None,
    label: Annotated[Path | None, typer.Option(help=_say("help.label"), metavar="FILE")] = None,
    seconds: Annotated[float, typer.Option(help=_say("help.seconds"), min=1.0, max=300.0, metavar="SECONDS")] = 60.0,
    wait: Annotated[float, typer.Option(help=_say("help.wait"), min=0.0, max=600.0, metavar="SECONDS")] = 10.0,
    yes: Annotated[bool, typer.Option("--yes", help=_say("help.yes"))] = False,
    json: Annotated[bool, typer.Option("--json", help=_say("help.json"))] = False,
) -> int:
    settings = load_edge_config(config)
    given = Given(family, id_, name, room, kind, _roles(button or []), user, label, seconds, wait, asks=not yes)
    drivers = {port.driver for port in settings.serial}
    if settings.local_mqtt is not None:
        drivers |= {each.name for each in find_drivers().values() if isinstance(each, MqttDriver)}
        drivers |= {profile.name for profile in settings.mqtt_profiles}
    terminal = Terminal(lambda text: typer.echo(text, err=json), quiet=json)
    client = ControlClient(Path(settings.data_dir) / SOCKET)
    is_bound = False
    try:
        while True:
            bound = Wizard(client, drivers, given, terminal).run()
            done = _tell(terminal, bound, json)
            is_bound = is_bound or done
            if yes or id_ or not done or terminal.ask(_say("ask-another")).lower() not in ("y", "yes", "是"):
                return 0 if done else 1
    except LeftError:
        terminal.say("")
        terminal.say(_say("left-bound" if is_bound else "left"))
        return 0 if is_bound else 1


def _tell(terminal: Terminal, bound: dict[str, object], as_json: bool) -> bool:
    done = bound["result"] in _DONE
    if as_json:
        typer.echo(msgspec.json.encode(bound).decode())
    elif not done:
        terminal.say(_say(f"result.{bound['result']}", device=bound["id"]))
    return done


def _roles(texts: list[str]) -> dict[str, str]:
    """Raises ConfigError."""
    roles = {}
    for text in texts:
        name, _, role = text.rpartition("=")
        if not name or role not in _ROLES:
            raise ConfigError(_say("bad-button", text=text))
        roles[name] = role
    return roles
