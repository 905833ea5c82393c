"""`hearthline dashboards push` and `annotate`: what is written into a running Grafana."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import msgspec
import typer

from hearthline.config import read_secret
from hearthline.errors import ConfigError
from hearthline_dashboards.annotating import Center, annotate
from hearthline_dashboards.board import LANGUAGES, Setting
from hearthline_dashboards.boards import boards
from hearthline_dashboards.building import check_console, check_zone
from hearthline_dashboards.grafana import Grafana
from hearthline_dashboards.pushing import InfluxLogin, Step, push

UrlOption = Annotated[str, typer.Option("--url", help="Where Grafana answers.", metavar="URL")]
TokenOption = Annotated[str, typer.Option("--token-file", help="With a service account's token.", metavar="FILE")]
LanguageOption = Annotated[
    list[str] | None, typer.Option("--language", help="zh or en; may repeat; by default both.", metavar="LANGUAGE")
]
ZoneOption = Annotated[str, typer.Option("--zone", help="Whose days count, as store.zone in cloud.toml.", metavar="Z")]
ConsoleOption = Annotated[str, typer.Option("--console", help="Where links to the console lead.", metavar="URL")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def push_command(
    url: UrlOption,
    token_file: TokenOption,
    console: ConsoleOption,
    zone: ZoneOption = "Asia/Shanghai",
    language: LanguageOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also replace what somebody else saved last; the history keeps it.")
    ] = False,
    influxdb: Annotated[
        str | None, typer.Option(help="Make the data source, if it is missing, for this InfluxDB.", metavar="URL")
    ] = None,
    database: Annotated[str, typer.Option(help="Its database.", metavar="NAME")] = "hearthline",
    username: Annotated[str, typer.Option(help="Its user, who may read.", metavar="NAME")] = "",
    password_file: Annotated[str | None, typer.Option(help="The file with that password.", metavar="FILE")] = None,
    json: JsonOption = False,
) -> int:
    """Bring the dashboards of a running Grafana to this version, and say what was changed. 1 if one was refused.

    Example: hearthline dashboards push --url https://grafana.example.org --token-file /etc/hearthline/grafana-token
        --console https://center.example.org
    """
    settings = _settings(language, zone, console)
    grafana = Grafana(url, _token(token_file))
    login = None
    if influxdb is not None:
        login = InfluxLogin(influxdb, database, username, read_secret(password_file, "--password-file") or "")
    made = [board for setting in settings for board in boards(setting)]
    steps: list[Step] = []
    for step in push(grafana, made, login, overwrite=overwrite):
        steps.append(step)
        if not json:
            why = f": {step.why}" if step.why else ""
            version = f" (version {step.version})" if step.version is not None else ""
            typer.echo(f"{step.did:12}{step.kind} {step.uid}{version}{why}")
    if json:
        typer.echo(msgspec.json.encode([asdict(step) for step in steps]))
    return 1 if any(step.did == "refused" for step in steps) else 0


def annotate_command(
    url: UrlOption,
    token_file: TokenOption,
    console: Annotated[str, typer.Option(help="The center's console, whose alerts are shown.", metavar="URL")],
    user: Annotated[str, typer.Option(help="An account of the center's that may see alerts.", metavar="NAME")],
    password_file: Annotated[str, typer.Option(help="The file with its password.", metavar="FILE")],
    hours: Annotated[float, typer.Option(help="How far back alerts are looked at.", min=0.1, max=8784)] = 48.0,
    language: LanguageOption = None,
    json: JsonOption = False,
) -> None:
    """Show the center's alerts over every dashboard: kind, number and a link to the case, no name. For a timer.

    Example: hearthline dashboards annotate --url https://grafana.example.org --token-file /etc/hearthline/grafana-token
        --console https://center.example.org --user grafana --password-file /etc/hearthline/grafana-center
    """
    settings = _settings(language, "Asia/Shanghai", console)
    password = read_secret(password_file, "--password-file") or ""
    grafana = Grafana(url, _token(token_file))
    center = Center(settings[0].console, user, password)
    try:
        alerts = list(center.alerts(time.time_ns() // 1_000_000 - round(hours * 3_600_000)))
    finally:
        center.close()
    outcome = annotate(grafana, alerts, settings)
    if json:
        typer.echo(msgspec.json.encode(asdict(outcome)))
    else:
        counts = f"{outcome.made} annotations made, {outcome.changed} changed, {outcome.same} as they were"
        typer.echo(f"{len(alerts)} alerts: {counts}")


def _settings(languages: list[str] | None, zone: str, console: str) -> list[Setting]:
    for language in languages or ():
        if language not in LANGUAGES:
            raise ConfigError(f"--language {language}: there are zh and en")
    checked = check_zone(zone), check_console(console)
    return [Setting(language, *checked) for language in LANGUAGES if not languages or language in languages]


def _token(path: str) -> str:
    token = read_secret(path, "--token-file")
    if not token:
        raise ConfigError(f"--token-file {path}: its first line is empty")
    return token
