"""`hearthline gateway …` in the home: make this machine a gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from hearthline.clock import SystemClock
from hearthline.enrolment import unlock
from hearthline.enrolment_code import Label, WrongCodeError, read_label
from hearthline.errors import ConfigError
from hearthline_edge.commands_commission import commission
from hearthline_edge.commissioning_texts import say
from hearthline_edge.enrolling import Bundle, Enrolled, Network, Source, enrol, find_machine
from hearthline_edge.enrolling_config import DATA_DIR
from hearthline_edge.enrolling_link import ask, checked_center, trust
from hearthline_edge.enrolling_texts import TEXTS, EnrolError
from hearthline_edge.installing import Machine, Say, install
from hearthline_edge.loading import load_edge_config

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, help=TEXTS.say("gateway"))

CodeArgument = Annotated[str | None, typer.Argument(help=TEXTS.say("code"))]
CenterOption = Annotated[str | None, typer.Option("--center", help=TEXTS.say("center"), metavar="URL")]
CaOption = Annotated[Path | None, typer.Option("--ca-file", help=TEXTS.say("ca_file"), metavar="FILE")]
BundleOption = Annotated[Path | None, typer.Option("--bundle", help=TEXTS.say("bundle"), metavar="FILE")]
FolderOption = Annotated[Path, typer.Option("--folder", help=TEXTS.say("folder"), metavar="FOLDER")]
DataOption = Annotated[Path, typer.Option("--data-dir", help=TEXTS.say("data_dir"), metavar="FOLDER")]
NoStartOption = Annotated[bool, typer.Option("--no-start", help=TEXTS.say("no_start"))]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON")]


@app.callback()
def gateway() -> None:
    """A group, also while it has one command."""


app.command("commission", help=say("help"))(commission)


@app.command("enrol", help=TEXTS.say("help"))
def enrol_here(
    code: CodeArgument = None,
    center: CenterOption = None,
    ca_file: CaOption = None,
    bundle: BundleOption = None,
    folder: FolderOption = Path("/etc/hearthline"),
    data_dir: DataOption = Path(DATA_DIR),
    no_start: NoStartOption = False,
    json: JsonOption = False,
) -> None:
    def say(line: str) -> None:
        typer.echo(line, err=json)

    label = _asked(say) if code is None else _read(code)
    now = SystemClock().now()
    source: Source
    if bundle is not None:
        source = Bundle(unlock(label.code), bundle, now)
    else:
        address, context = checked_center(center or label.center), trust(ca_file)
        source = Network(unlock(label.code), lambda words: ask(address, context, words, say))
    done = enrol(label.code.offer, source, folder, str(data_dir.absolute()), find_machine(), now)
    _tell(done, say)
    if no_start:
        say(TEXTS.say("not_started", config=done.config))
    else:
        _start(done, say)
    if json:
        typer.echo(msgspec.json.encode(done, enc_hook=str).decode())


def _read(typed: str) -> Label:
    try:
        return read_label(typed)
    except WrongCodeError as error:
        raise ConfigError(TEXTS.say(error.wrong, length=error.length)) from None


def _asked(say: Say) -> Label:
    """Typed or scanned, until it is a code."""
    while True:
        try:
            return _read(typer.prompt(TEXTS.say("ask_code"), err=True))
        except ConfigError as error:
            say(str(error))


def _tell(done: Enrolled, say: Say) -> None:
    if done.already:
        say(TEXTS.say("already", gateway=done.gateway))
        return
    say(TEXTS.say("done", gateway=done.gateway, folder=done.config.parent, devices=done.devices))
    if done.aside is not None:
        say(TEXTS.say("aside", aside=done.aside))
    if done.carried:
        say(TEXTS.say("carried"))


def _start(done: Enrolled, say: Say) -> None:
    """Raises EnrolError: what was written stays, and is right."""
    try:
        install(load_edge_config(done.config), done.config, Machine(), say)
    except ConfigError as error:
        raise EnrolError("start_failed", why=error, config=done.config) from None
