"""`hearthline cloud policy`: check, show and save who is told when. `hearthline cloud notify`: try a channel."""

from __future__ import annotations

import getpass
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hearthline.errors import ConfigError
from hearthline_cloud import policy_store
from hearthline_cloud.__main__ import DEFAULT_CONFIG
from hearthline_cloud.commands_center import ConfigOption, JsonOption, center, say
from hearthline_cloud.config import ChannelConfig, CloudConfig, load_cloud_config
from hearthline_cloud.notify.channels import open_channels, reach_of
from hearthline_cloud.notify.port import Message
from hearthline_cloud.notify.texts import trial_texts
from hearthline_cloud.personal.opening import open_database
from hearthline_cloud.policy_file import read_policies
from hearthline_cloud.policy_problems import Problem
from hearthline_cloud.policy_store import PolicyError
from hearthline_cloud.telling import schedule_faults

policy_app = typer.Typer(no_args_is_help=True, help="Who is told of an alert outside the console, and when.")
notify_app = typer.Typer(no_args_is_help=True, help="The channels over which people are told.")

FileArgument = Annotated[Path, typer.Argument(help="A TOML file; docs/examples/policy.toml shows all keys.")]


@policy_app.command("check")
def check(file: FileArgument, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> int:
    """Check a file of policies against the channels of the configuration; nothing is saved.

    Example: hearthline cloud policy check policy.toml --config cloud.toml
    """
    settings = load_cloud_config(config)
    reaches = tuple(reach_of(channel) for channel in settings.channel)
    reading = read_policies(_text(file), reaches)
    if reading.policies is None:
        return _refuse(file, reading.problems, json)
    faults = [str(fault) for fault in schedule_faults(reading.policies, reaches, time.time_ns())]
    human = "\n".join([*(f"{file}: {fault}" for fault in faults), f"{file}: can be saved."])
    say({"problems": [], "warnings": faults}, json, human)
    return 0


@policy_app.command("show")
def show(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Print the newest saved version, or the shipped policies where none was saved.

    Example: hearthline cloud policy show --config cloud.toml > policy.toml
    """
    with center(config) as (_, database), database.reading() as connection:
        saved = policy_store.newest(connection)
    say(saved, json, saved.text.rstrip("\n"))


@policy_app.command("save")
def save(file: FileArgument, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> int:
    """Check a file and save it as the next version; the desk goes by it within seconds.

    Example: hearthline cloud policy save policy.toml --config cloud.toml
    """
    settings, text = load_cloud_config(config), _text(file)
    reaches = [reach_of(channel) for channel in settings.channel]
    try:
        with closing(open_database(settings)) as database, database.transaction() as connection:
            base = policy_store.newest_version(connection)
            saved = policy_store.save(connection, text, base, reaches, getpass.getuser(), time.time_ns())
    except PolicyError as error:
        return _refuse(file, error.problems, json)
    say({"version": saved.version}, json, f"Saved: version {saved.version}.")
    return 0


@notify_app.command("test")
def try_channel(
    channel: Annotated[str, typer.Argument(help="The name of a [[channel]] of the configuration.")],
    config: ConfigOption = DEFAULT_CONFIG,
    to: Annotated[str, typer.Option(help="The telephone number; for a channel with contacts = true.")] = "",
    json: JsonOption = False,
) -> int:
    """Send one message, marked as a test, and say what came of it: exit code 0 sent, 1 not sent.

    Example: hearthline cloud notify test duty --config cloud.toml
    """
    chosen = _channel(load_cloud_config(config), channel)
    if chosen.contacts != bool(to):
        raise ConfigError(f"--to: channel {channel!r} needs it where contacts = true, and only there")
    (opened,) = open_channels([chosen])
    title, text = trial_texts(chosen.language)
    result = opened.channel.send(Message(f"hearthline-test-{time.time_ns()}", title, text, to, {"test": True}))
    told = {"channel": channel, "sent": result.sent, "result": result.detail}
    say(told, json, f"{channel}: {'sent' if result.sent else 'not sent'}: {result.detail}")
    return 0 if result.sent else 1


def _channel(settings: CloudConfig, name: str) -> ChannelConfig:
    for channel in settings.channel:
        if channel.name == name:
            return channel
    known = ", ".join(each.name for each in settings.channel) or "none"
    raise ConfigError(f"there is no channel {name!r}; there are: {known}")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is no UTF-8 at byte {error.start}") from None


def _refuse(file: Path, problems: tuple[Problem, ...], as_json: bool) -> int:
    if as_json:
        typer.echo(msgspec.json.encode({"problems": [each.as_row() for each in problems]}).decode())
    else:
        for problem in problems:
            print(f"{file}:{problem}", file=sys.stderr)  # noqa: T201
    return 2
