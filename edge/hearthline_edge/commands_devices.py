"""`hearthline edge devices`: what is bound in this home, and taking one out of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from hearthline.errors import LinkError
from hearthline_edge.__main__ import DEFAULT_CONFIG
from hearthline_edge.config import EdgeConfig
from hearthline_edge.control import SOCKET
from hearthline_edge.control_client import TEXTS, ControlClient
from hearthline_edge.loading import load_edge_config
from hearthline_edge.pairing_texts import SPEECH

_ANSWER_S = 10.0
_say = SPEECH.say
ConfigOption = Annotated[Path, typer.Option("--config", help=_say("help.config"), metavar="FILE")]
JsonOption = Annotated[bool, typer.Option("--json", help=_say("help.json"))]
devices = typer.Typer(invoke_without_command=True, add_completion=False, rich_markup_mode=None, help=_say("list.help"))


@devices.callback()
def show(context: typer.Context, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    context.obj = config
    if context.invoked_subcommand is not None:
        return
    settings = load_edge_config(config)
    client, is_running = ControlClient(Path(settings.data_dir) / SOCKET), False
    found = _of_files(settings)
    with suppress(LinkError):
        found, is_running = client.ask({"do": "state"})["devices"], True
    if json:
        typer.echo(msgspec.json.encode({"running": is_running, "devices": found}).decode())
        return
    if not found:
        typer.echo(_say("list.none"))
    for each in found:
        typer.echo(_line(each, is_running))


@devices.command(help=_say("list.remove-help"))
def remove(
    context: typer.Context,
    device: Annotated[str, typer.Argument(metavar="ID")],
    config: Annotated[Path | None, typer.Option("--config", help=_say("help.config"), metavar="FILE")] = None,
    json: JsonOption = False,
) -> None:
    settings = load_edge_config(config or context.obj)
    client = ControlClient(Path(settings.data_dir) / SOCKET)
    is_connected = bool(client.ask({"do": "state"})["link"]["connected"])
    with client.open({"do": "unbind", "device": device}) as line:
        if line.next(_ANSWER_S) is None:
            raise LinkError(TEXTS.say("not-stored", path=client.path))
        answer = line.next(_ANSWER_S if is_connected else 0.0)
    if json:
        typer.echo(msgspec.json.encode({"removed": device, "told": answer is not None}).decode())
    else:
        typer.echo(_say("removed" if answer is not None else "removed-later", device=device))


def _of_files(settings: EdgeConfig) -> list[dict[str, Any]]:
    """What the files say, while no agent runs."""
    listed = [msgspec.to_builtins(each) | {"file": "devices.toml", "heard": None} for each in settings.listed]
    named = {each.id for each in settings.listed}
    own = [
        {"id": each.id, "buttons": each.buttons, "state": "bound", "file": "edge.toml", "heard": None}
        for each in settings.device
        if each.id not in named
    ]
    return [*listed, *own]


def _line(device: dict[str, Any], is_running: bool) -> str:
    is_own = device["file"] == "edge.toml"
    roles = " ".join(f"{button}={_say(f'role.{role}')}" for button, role in device.get("buttons", {}).items())
    heard = _say("list.heard", when=device["heard"]) if device.get("heard") else _say("list.never")
    parts = [
        device["id"],
        device.get("name", ""),
        device.get("room", ""),
        roles,
        _say("state.own" if is_own else f"state.{device['state']}"),
        heard if is_running else _say("list.unknown"),
    ]
    return "  ".join(part for part in parts if part)
