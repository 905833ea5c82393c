"""`hearthline sim`: simulated homes from the command line. Exit: 0 done, 1 failed, 2 wrong use or configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hearthline.errors import ConfigError
from hearthline.log import configure_logging
from hearthline_sim.home_config import load_home
from hearthline_sim.ledger import Ledger
from hearthline_sim.session import Schedule, run_home

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def sim() -> None:
    """Simulated devices and homes, byte-exact firmware.

    Example: hearthline sim run --home docs/examples/home.toml
    """


@app.command()
def run(
    home: Annotated[Path, typer.Option(help="The home: a TOML file.", metavar="FILE")],
    seed: Annotated[int, typer.Option(help="Decides every drawn value; the same seed gives the same home.")] = 1,
    ledger: Annotated[
        Path | None, typer.Option(help="Append what really happened here, one JSON object a line.", metavar="FILE")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="End after so long and when every cry is answered.", metavar="S")
    ] = None,
    presses: Annotated[int, typer.Option(help="So many calls, spread over --seconds and all pendants.", min=0)] = 0,
    stay: Annotated[bool, typer.Option("--stay", help="Go on after the schedule until quit.")] = False,
) -> int:
    """Run one home: its serial ports, its broker messages, and the elder.

    Happenings come out as JSON lines; orders go in, one a line: press [n], service [n], sos [n], fob [n],
    sense DEVICE, measure, reset DEVICE, zigbee on|off, unplug NAME, replug NAME, quit.

    Example: hearthline sim run --home docs/examples/home.toml --seconds 60 --presses 20 --ledger ledger.jsonl
    """
    if presses and seconds is None:
        raise ConfigError("--presses: say with --seconds over how long they are spread")
    if seconds is not None and seconds <= 0:
        raise ConfigError("--seconds: must be above zero")
    configure_logging()
    config = load_home(home)
    schedule = None if seconds is None else Schedule(presses, seconds, stay)
    with Ledger(ledger) as book:
        return run_home(config, seed, book, schedule)
