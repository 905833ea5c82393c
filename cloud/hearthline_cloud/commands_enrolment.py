"""`hearthline gateway code` and `hearthline gateway bundle`: a machine becomes a gateway by a one-time code.

Both need the issuing key, so they run where the role desk does, as its user.
"""

from __future__ import annotations

import secrets
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
import typer

from hearthline.clock import rfc3339
from hearthline.enrolment import Keys, unlock
from hearthline.enrolment_code import Code, new_code
from hearthline.errors import ConfigError, RefusedError
from hearthline_cloud import withdrawn
from hearthline_cloud.__main__ import DEFAULT_CONFIG
from hearthline_cloud.config import CloudConfig, load_cloud_config
from hearthline_cloud.database import Database
from hearthline_cloud.enrolment.labels import KINDS, Label, draw
from hearthline_cloud.enrolment.offers import Made, offer, withdraw
from hearthline_cloud.enrolment.signing import make_bundle, place_of
from hearthline_cloud.enrolment.texts import TEXTS
from hearthline_cloud.identity.authority import Authority, write_secret
from hearthline_cloud.identity.certificates import utc
from hearthline_cloud.personal.opening import open_database
from hearthline_cloud.wake import Waker

_ACTOR = "command line"

GatewayArgument = Annotated[str, typer.Argument(help=TEXTS.say("gateway"))]
ConfigOption = Annotated[Path, typer.Option("--config", help=TEXTS.say("config"), metavar="FILE")]
JsonOption = Annotated[bool, typer.Option("--json", help=TEXTS.say("json"))]
HoursOption = Annotated[float, typer.Option("--hours", help=TEXTS.say("hours"))]
AgainOption = Annotated[bool, typer.Option("--again", help=TEXTS.say("again"))]
LabelOption = Annotated[Path | None, typer.Option("--label", help=TEXTS.say("label"), metavar="FILE")]
UrlOption = Annotated[str | None, typer.Option("--url", help=TEXTS.say("url"))]
OutOption = Annotated[Path, typer.Option("--out", help=TEXTS.say("out"), metavar="FILE")]


def code(
    gateway: GatewayArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    hours: HoursOption = 72.0,
    again: AgainOption = False,
    label: LabelOption = None,
    url: UrlOption = None,
    json: JsonOption = False,
) -> None:
    settings = _settings(config)
    center = _center(settings, url)
    kind = _kind(label)
    now_ns = time.time_ns()
    authority = Authority(Path(settings.identity.folder), utc(now_ns))
    fresh, keys = _fresh()
    with closing(open_database(settings)) as database:
        with database.transaction() as connection:
            made = offer(connection, authority, keys, gateway, now_ns, hours=hours, again=again, actor=_ACTOR)
        _follow(settings, database, made.gateway, made.has_revoked, now_ns)
    command = f"hearthline gateway enrol {fresh.text}" + (f" --center {center}" if center else "")
    written: Path | None = None
    try:
        if label is not None:
            _write(label, draw(Label(gateway, center, fresh, f"-> {rfc3339(made.ends_ns)[:16]}Z"), kind))
            written = label
    finally:  # the code before is withdrawn, and this one is good without its label
        _tell(made, fresh, center, command, written, json)


def bundle(
    gateway: GatewayArgument,
    out: OutOption,
    config: ConfigOption = DEFAULT_CONFIG,
    hours: HoursOption = 336.0,
    again: AgainOption = False,
    label: LabelOption = None,
    json: JsonOption = False,
) -> None:
    settings = _settings(config)
    kind = _kind(label)
    if out.exists():
        raise RefusedError(TEXTS.say("exists", file=out))
    now_ns = time.time_ns()
    authority = Authority(Path(settings.identity.folder), utc(now_ns))
    place = place_of(settings.identity)
    fresh, keys = _fresh()
    with closing(open_database(settings)) as database:
        with database.transaction() as connection:
            made, sealed = make_bundle(
                connection, authority, place, keys, gateway, now_ns, hours=hours, again=again, actor=_ACTOR
            )
        try:  # after the transaction: a slow stick makes no press wait
            _follow(settings, database, made.gateway, made.has_revoked, now_ns)
            _write(out, sealed)
            if label is not None:
                _write(label, draw(Label(gateway, "", fresh, f"-> {rfc3339(made.ends_ns)[:16]}Z"), kind))
        except (ConfigError, KeyboardInterrupt):
            _take_back(settings, database, made, out)
            raise
    command = f"hearthline gateway enrol --bundle {out.name} {fresh.text}"
    _tell(made, fresh, "", command, label, json, out)


def add_to(app: typer.Typer) -> None:
    """Both as subcommands of `hearthline gateway`."""
    app.command("code", help=TEXTS.say("code.help"))(code)
    app.command("bundle", help=TEXTS.say("bundle.help"))(bundle)


def _settings(config: Path) -> CloudConfig:
    settings = load_cloud_config(config)
    if not settings.identity.folder:
        raise ConfigError(TEXTS.say("no_identity"))
    return settings


def _center(settings: CloudConfig, url: str | None) -> str:
    center = url or settings.web.public_url or ""
    parts = urlsplit(center)
    if center and (parts.scheme not in ("http", "https") or center != f"{parts.scheme}://{parts.netloc}"):
        raise ConfigError(TEXTS.say("bad_url", url=center))
    return center


def _kind(label: Path | None) -> str:
    kind = "" if label is None else label.suffix[1:].lower()
    if label is not None and kind not in KINDS:
        raise ConfigError(TEXTS.say("bad_label", file=label))
    return kind


def _fresh() -> tuple[Code, Keys]:
    fresh = new_code(secrets.choice)
    return fresh, unlock(fresh)


def _take_back(settings: CloudConfig, database: Database, made: Made, out: Path) -> None:
    """What could not be written is not offered, and what was signed for it is good for nothing."""
    now_ns = time.time_ns()
    with database.transaction() as connection:
        has_revoked = withdraw(connection, made.offer, now_ns, _ACTOR)
    typer.echo(TEXTS.say("taken_back", gateway=made.gateway), err=True)
    with suppress(OSError):  # the stick may be gone, and the file opens nothing any more
        out.unlink()
    _follow(settings, database, made.gateway, has_revoked, now_ns)


def _follow(settings: CloudConfig, database: Database, gateway: str, has_revoked: bool, now_ns: int) -> None:
    """Who keeps the broker hears of it, and so does a restore."""
    waker = Waker(settings.directory)
    waker.wake("keeper")
    waker.close()
    if has_revoked:
        with database.reading() as connection:
            line = withdrawn.revoked(connection, gateway, now_ns)
        withdrawn.note(settings.withdrawn_path, line)


def _write(path: Path, content: bytes) -> None:
    """For its owner alone: whoever has a code or a bundle is half a gateway."""
    try:
        write_secret(path, content)
    except OSError as error:
        raise ConfigError(TEXTS.say("not_written", file=path, why=error.strerror)) from None


def _tell(
    made: Made, fresh: Code, center: str, command: str, label: Path | None, as_json: bool, out: Path | None = None
) -> None:
    files = {"label": None if label is None else str(label), "bundle": None if out is None else str(out)}
    if as_json:
        told = {"gateway": made.gateway, "code": fresh.text, "center": center, "ends": rfc3339(made.ends_ns), **files}
        typer.echo(msgspec.json.encode(told).decode())
        return
    ends = rfc3339(made.ends_ns)[:16].replace("T", " ") + " UTC"
    lines = [TEXTS.say("made", gateway=made.gateway, ends=ends), "", f"    {fresh.text}", ""]
    lines += [TEXTS.say("on_gateway"), f"    {command}"]
    if label is not None:
        lines.append(TEXTS.say("label_written", file=label))
    if out is not None:
        lines.append(TEXTS.say("bundle_written", file=out))
    elif not center:
        lines.append(TEXTS.say("no_url"))
    typer.echo("\n".join(lines))
