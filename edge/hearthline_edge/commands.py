"""`hearthline edge`: run the gateway's agent, check its surroundings, look into its outbox, decode recorded bytes.

Never imported by the running agent, which a service starts with `python -m hearthline_edge`.
"""

from __future__ import annotations

import contextlib
import math
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from hearthline.clock import SystemClock
from hearthline.errors import ConfigError, ProtocolError, RefusedError
from hearthline.whole_file import write_whole
from hearthline_edge.__main__ import DEFAULT_CONFIG, serve
from hearthline_edge.commands_devices import devices
from hearthline_edge.commands_install import install, remove
from hearthline_edge.commands_update import update
from hearthline_edge.devices import Driver, SerialDriver, driver_named, find_drivers
from hearthline_edge.doctor import Check, examine
from hearthline_edge.doctor_running import examine_running
from hearthline_edge.doctor_texts import TEXTS, named
from hearthline_edge.loading import load_edge_config, own_profile_folder
from hearthline_edge.outbox_view import OutboxView, look_into
from hearthline_edge.profiles import ProfileView, describe, driver_of, load_profile, load_profiles
from hearthline_edge.recording import read_recording
from hearthline_edge.replay import replay

_BITS_PER_BYTE = 10  # on a serial line, with start and stop
app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

for _command in (install, remove, update):
    app.command()(_command)

app.add_typer(devices, name="devices")

ConfigOption = Annotated[Path, typer.Option("--config", help="The agent's configuration file.", metavar="FILE")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]


@app.callback()
def edge() -> None:
    """The gateway in the home: reads pendants, cuffs and meters, keeps what they say, sends it to the center.

    Example: hearthline edge doctor --config /etc/hearthline/edge.toml
    """


@app.command()
def run(config: ConfigOption = DEFAULT_CONFIG) -> int:
    """Run the agent until Ctrl-C. A service starts it with: python -m hearthline_edge --config FILE

    Example: hearthline edge run --config edge.toml
    """
    return serve(config)


@app.command()
def doctor(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> int:
    """Check configuration, ports, brokers, disk, clock and outbox; say what to do. Exits with 1 if something is wrong.

    May be used beside a running agent. Example: hearthline edge doctor --config edge.toml
    """
    try:
        settings = load_edge_config(config)
    except ConfigError as error:
        _say_checks([Check("configuration", False, str(error))], json)
        return error.exit_code
    checks = [Check("configuration", True, TEXTS.say("config", config=config))]
    checks += examine(settings, SystemClock(settings.clock.trust).now())
    checks += examine_running(settings)
    _say_checks(checks, json)
    return 0 if all(check.ok for check in checks) else 1


@app.command()
def outbox(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Show what waits for the center: depth of each lane, the oldest record, hours of room left, what was refused.

    Only reads, also beside a running agent. Example: hearthline edge outbox --config edge.toml
    """
    settings = load_edge_config(config)
    view = look_into(settings, SystemClock(settings.clock.trust).now())
    typer.echo(_json(view) if json else _outbox_for_people(view))


@app.command()
def decode(
    file: Annotated[str, typer.Argument(help="A recording, or - for standard input.", metavar="FILE|-")],
    driver: Annotated[str, typer.Option("--driver", help="The device family.", metavar="NAME")] = "",
    profile: Annotated[Path | None, typer.Option("--profile", help="A device's profile.", metavar="FILE")] = None,
    options: Annotated[str, typer.Option("--options", help="The driver's options.", metavar="TOML")] = "",
    gap: Annotated[float, typer.Option("--gap", help="Seconds between lines that say no time.", min=0.0)] = 0.15,
) -> int:
    """Decode a recording with a driver or a profile, presses grouped as the agent does; prints JSON lines.

    A recording is lines of hexadecimal digits, raw bytes of a serial line, or JSON lines: {"topic": …, "payload": …}
    (as mosquitto_sub -F %j writes them), {"hex": …}, or bare payloads. A line that cannot be read is told and passed
    over; then it exits with 1.
    Example: hearthline edge decode --driver enocean-esp3 press.hex
    """
    chosen = _driver(driver, profile)
    bytes_per_s = chosen.line.baudrate / _BITS_PER_BYTE if isinstance(chosen, SerialDriver) else math.inf
    wrong_lines = 0

    def tell(error: ProtocolError) -> None:
        nonlocal wrong_lines
        wrong_lines += 1
        typer.echo(f"hearthline: {file}: {error}", err=True)

    try:
        with contextlib.nullcontext(sys.stdin.buffer) if file == "-" else open(file, "rb") as recording:
            heard = read_recording(recording, gap, bytes_per_s, tell)
            for found in replay(chosen, _toml(options), heard, SystemClock().now()):
                typer.echo(_json(found))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    return 1 if wrong_lines else 0


@app.command()
def request(
    out: Annotated[Path, typer.Option(help="A folder for the key and the request.", metavar="FOLDER")],
    config: ConfigOption = DEFAULT_CONFIG,
    json: JsonOption = False,
) -> None:
    """Make this gateway's key, and a signing request to take to the center; the key stays here.

    Example: hearthline edge request --out /etc/hearthline --config edge.toml
    """
    from hearthline_edge.requesting import key_pem, new_key, signing_request

    gateway = load_edge_config(config).gateway
    key_file, request_file = out / "uplink.key", out / f"{gateway}.csr"
    if key_file.exists():
        raise RefusedError(f"{key_file}: there is a key already; it is never written over")
    key = new_key()
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(key_file, key_pem(key))
        request_file.write_bytes(signing_request(gateway, key))
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}") from None
    if json:
        typer.echo(_json({"gateway": gateway, "key": str(key_file), "request": str(request_file)}))
        return
    typer.echo(f"Take {request_file} to the center, and leave {key_file} where it is. There:")
    typer.echo(f"  hearthline cloud ca issue {gateway} --request {request_file.name} --out {gateway}")
    typer.echo(f"Bring the three files of {gateway} back, and name them and the key in [uplink] of {config}.")


def _driver(name: str, profile: Path | None) -> Driver:
    if bool(name) == (profile is not None):
        raise ConfigError("give either --driver NAME or --profile FILE")
    if profile is not None:
        return driver_of(load_profile(profile))
    drivers = find_drivers()
    chosen = driver_named(name, drivers)
    if chosen is None:
        raise ConfigError(f"--driver {name}: there is no such driver; there are: {', '.join(sorted(drivers))}")
    return chosen


@app.command()
def profiles(
    config: ConfigOption = DEFAULT_CONFIG,
    check: Annotated[Path | None, typer.Option("--check", help="Check one profile's file.", metavar="FILE")] = None,
    json: JsonOption = False,
) -> int:
    """List the device profiles that this gateway knows, shipped and its own, or check one file. Exits 1 for a bad one.

    Example: hearthline edge profiles --check acme-sos.toml
    """
    if check is not None:
        views, broken = [describe(load_profile(check))], dict[str, str]()
    else:
        folder = own_profile_folder(config) if config.exists() or config != DEFAULT_CONFIG else None
        found = load_profiles(folder)
        views, broken = [describe(found.known[name]) for name in sorted(found.known)], found.broken
    if json:
        typer.echo(_json({"profiles": views, "broken": broken}))
    else:
        for view in views:
            typer.echo(_profile_for_people(view))
        for name, why in broken.items():
            typer.echo(f"WRONG {name}: {why}")
    return 1 if broken else 0


def _profile_for_people(view: ProfileView) -> str:
    gives = ", ".join((*view.values, *view.events))
    supervised = f"silent for {view.supervision_s:g} s is a fault" if view.supervision_s else "its silence says nothing"
    return f"{view.name}: {view.title} ({view.way}, {view.speaks}); gives {gives}; {supervised}"


def _toml(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"--options: not valid TOML: {error}") from None


def _say_checks(checks: list[Check], as_json: bool) -> None:
    if as_json:
        typer.echo(_json({"ok": all(check.ok for check in checks), "checks": checks}))
        return
    for check in checks:
        typer.echo(f"{TEXTS.say('right' if check.ok else 'wrong')} {named(check.name)}: {check.sentence}")


def _outbox_for_people(view: OutboxView) -> str:
    lines = [f"outbox {view.outbox} in {view.path}"]
    for name, lane in (("event", view.event), ("telemetry", view.telemetry)):
        line = f"{name:9} {lane.depth} waiting, the oldest for {lane.oldest_s:.0f} s; {lane.refused} refused"
        if name == "telemetry":
            room = "unknown" if lane.room_h is None else f"{lane.room_h:.1f} h"
            line += f"; {lane.dropped} readings dropped; room left: {room}"
        lines.append(line)
    lines.append(f"kept aside {view.kept_aside} messages that could not be understood")
    lines += [f"  {count:6} {name}" for name, count in sorted(view.refusals.items())]
    return "\n".join(lines)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
