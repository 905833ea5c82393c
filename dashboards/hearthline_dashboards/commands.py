"""`hearthline dashboards`: build, check and push what Grafana shows. Exit: 0 done, 1 failed, 2 wrong use."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec
import typer

from hearthline.config import read_secret
from hearthline.errors import ConfigError
from hearthline_dashboards.boards import every_board
from hearthline_dashboards.building import check_console, check_zone, files, write
from hearthline_dashboards.checking import Finding, Influx, Prometheus, Source, check, check_rules
from hearthline_dashboards.commands_grafana import (
    ConsoleOption,
    JsonOption,
    ZoneOption,
    annotate_command,
    push_command,
)
from hearthline_dashboards.provisioning import provisioning_files

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

ZONE, CONSOLE = "Asia/Shanghai", "http://127.0.0.1:8080"


app.command("push")(push_command)
app.command("annotate")(annotate_command)


@app.callback()
def dashboards() -> None:
    """What care staff and operators see in Grafana, as code.

    Example: hearthline dashboards build --to /etc/grafana/hearthline --console https://center.example.org
    """


@app.command()
def build(
    to: Annotated[Path, typer.Option(help="The folder; it is made.", metavar="DIR")],
    zone: ZoneOption = ZONE,
    console: ConsoleOption = CONSOLE,
    installed: Annotated[
        str, typer.Option(help="Where that folder lies on Grafana's machine.", metavar="DIR")
    ] = "/etc/grafana/hearthline",
    json: JsonOption = False,
) -> None:
    """Write the dashboards' JSON, one folder a language, and provisioning files. What is so already is not touched.

    Example: hearthline dashboards build --to /etc/grafana/hearthline --console https://center.example.org
    """
    made = files(every_board(check_zone(zone), check_console(console)))
    made |= provisioning_files(check_console(console), PurePosixPath(installed))
    done = write(made, to)
    if json:
        typer.echo(msgspec.json.encode({"files": len(made), "written": [[str(path), how] for path, how in done]}))
        return
    for path, how in done:
        typer.echo(f"{how:8}{to / path}")
    typer.echo(f"{len(made)} files, {len(done)} of them written")


@app.command("check")
def check_command(
    url: Annotated[str, typer.Option(help="Where InfluxDB answers.", metavar="URL")] = "http://127.0.0.1:8086",
    database: Annotated[str, typer.Option(help="Its database.", metavar="NAME")] = "hearthline",
    username: Annotated[str | None, typer.Option(help="Of a user who may read.", metavar="NAME")] = None,
    password_file: Annotated[str | None, typer.Option(help="The file with the password.", metavar="FILE")] = None,
    prometheus: Annotated[
        str | None, typer.Option(help="Where Prometheus answers; without it, its dashboard is left out.", metavar="URL")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Take this moment for now.", metavar="TIME")] = None,
    zone: ZoneOption = ZONE,
    json: JsonOption = False,
) -> int:
    """Ask every query of every panel, with all and with one of everything chosen; an error or an empty answer fails.

    Example: hearthline dashboards check --url http://127.0.0.1:8086 --database hearthline
    """
    password = read_secret(password_file, "--password-file")
    sources: dict[str, Source] = {"influxdb": Influx(url, database, username, password)}
    if prometheus is not None:
        sources["prometheus"] = Prometheus(prometheus)
    now_ms = _moment_ms(at)
    found = [*check(every_board(check_zone(zone), CONSOLE), sources, now_ms)]
    found += check_rules(sources["influxdb"], now_ms)
    faults = [finding for finding in found if finding.fault]
    if json:
        typer.echo(msgspec.json.encode([asdict(finding) for finding in found]))
    else:
        _tell(found, faults)
    return 1 if faults else 0


def _tell(found: list[Finding], faults: list[Finding]) -> None:
    for finding in faults:
        typer.echo(
            f"{finding.board}: {finding.panel} {finding.ref} ({finding.choice}): {finding.fault}\n    {finding.query}"
        )
    slowest = max(found, key=lambda finding: finding.seconds)
    typer.echo(
        f"{len(found)} queries, {len(faults)} with a fault; the slowest took {slowest.seconds:.2f} s: "
        f"{slowest.board}, {slowest.panel}"
    )


def _moment_ms(at: str | None) -> int:
    if at is None:
        return time.time_ns() // 1_000_000
    try:
        moment = dt.datetime.fromisoformat(at)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ConfigError(f"--at {at}: write a time like 2026-11-22T08:00:00Z")
    return round(moment.timestamp() * 1000)
