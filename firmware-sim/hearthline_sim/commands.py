"""`hearthline sim`: simulated homes from the command line. Exit: 0 done, 1 failed, 2 wrong use or configuration."""

from __future__ import annotations

import datetime as dt
import time
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from hearthline.errors import ConfigError
from hearthline.log import configure_logging
from hearthline_sim.home_config import load_home
from hearthline_sim.ledger import Ledger
from hearthline_sim.session import Schedule, run_home
from hearthline_sim.year import CHINA, MAX_DAYS, MAX_HOMES
from hearthline_sim.year import year as days_of
from hearthline_sim.year_center import year_center
from hearthline_sim.year_output import to_file, to_influxdb

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


@app.command()
def year(
    homes: Annotated[int, typer.Option(help="How many homes.", min=1, max=MAX_HOMES)] = 200,
    days: Annotated[int, typer.Option(help="How many days.", min=1, max=MAX_DAYS)] = 365,
    seed: Annotated[int, typer.Option(help="Decides every value; the same seed gives the same year.")] = 1,
    last: Annotated[
        str | None, typer.Option(help="The last day; by default today, until now.", metavar="YYYY-MM-DD")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Line protocol into this file; - for here.", metavar="FILE")] = None,
    store: Annotated[str | None, typer.Option(help="An InfluxDB 1.x instead.", metavar="URL")] = None,
    database: Annotated[str, typer.Option(help="The database there; it must exist.")] = "hearthline",
) -> None:
    """Measured values of many homes over a year, quickly: some 660 points a home and day.

    Example: hearthline sim year --homes 20 --days 30 --out - | hearthline cloud store import -
    """
    if (out is None) == (store is None):
        raise ConfigError("give one of --out FILE and --store URL")
    try:
        last_day = dt.date.fromisoformat(last) if last else dt.datetime.now(CHINA).date()
    except ValueError as error:
        raise ConfigError(f"--last {last!r}: {error}") from None
    until_s = None if last else int(time.time())
    numbers = (homes, days, seed, last_day, until_s)
    pieces = chain(days_of(*numbers), year_center(*numbers))
    points = to_file(pieces, out) if out is not None else to_influxdb(pieces, store or "", database)
    typer.echo(f"{points} points of {homes} homes on {days} days", err=True)
