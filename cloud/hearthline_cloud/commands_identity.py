"""`hearthline cloud ca …` and `hearthline cloud broker-config`: who is who, and what the broker is told of it."""

from __future__ import annotations

import glob
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from cryptography.hazmat.primitives.asymmetric import ec

from hearthline.clock import NS, rfc3339
from hearthline.config import read_secret
from hearthline.errors import ConfigError, RefusedError
from hearthline_cloud import withdrawn
from hearthline_cloud.__main__ import DEFAULT_CONFIG
from hearthline_cloud.commands_center import ConfigOption, JsonOption, center, say
from hearthline_cloud.config import CloudConfig, IdentityConfig, load_cloud_config
from hearthline_cloud.database import Database
from hearthline_cloud.identity import authority as ca
from hearthline_cloud.identity import broker, certificates
from hearthline_cloud.personal.opening import open_database
from hearthline_cloud.wake import Waker

ca_app = typer.Typer(no_args_is_help=True, help="The center's certificates.")
CERTIFICATE, SECOND_CERTIFICATE, KEY, ROOT = "uplink.crt", "second.crt", "uplink.key", "ca.crt"
_ACTOR = "command line"
_PLUGIN = "/usr/lib/*/mosquitto_dynamic_security.so"
_POLL_S = 0.05

RootOption = Annotated[Path, typer.Option(help="The root's folder, on a stick that lies in a safe.")]
CenterOption = Annotated[str, typer.Option(help="How the certificates call this center.")]
PassphraseOption = Annotated[Path | None, typer.Option(help="A file whose first line locks the root's key.")]
GatewayArgument = Annotated[str, typer.Argument(help="The gateway's id.")]


@ca_app.command("init")
def init(root: RootOption, center: CenterOption = "Hearthline", passphrase_file: PassphraseOption = None) -> None:
    """Make the root of the center's certificates; it is needed again only every few years.

    Example: hearthline cloud ca init --root /media/stick/root --passphrase-file /media/stick/passphrase
    """
    ca.make_root(root, center, ca.utc_now(), _passphrase(passphrase_file))
    typer.echo(f"The root is in {root}. Take it away from this machine after `hearthline cloud ca issuing`.")


@ca_app.command("issuing")
def issuing(
    root: RootOption,
    config: ConfigOption = DEFAULT_CONFIG,
    center: CenterOption = "Hearthline",
    passphrase_file: PassphraseOption = None,
) -> None:
    """Make the issuing key and its certificate, or certify the key that is there anew.

    Example: hearthline cloud ca issuing --root /media/stick/root --config cloud.toml
    """
    identity = _identity(load_cloud_config(config))
    ca.make_issuing(Path(identity.folder), root, center, ca.utc_now(), _passphrase(passphrase_file))
    typer.echo(f"The issuing key is in {identity.folder}, for the role desk alone.")


@ca_app.command("server")
def server(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Make a new certificate and key for the broker; the broker reads them when it is restarted.

    Example: hearthline cloud ca server --config cloud.toml
    """
    identity = _identity(load_cloud_config(config))
    ends = _make_server(identity, Path(identity.broker))
    typer.echo(f"The broker is {', '.join(identity.names)} until {ends}. Restart it.")


@ca_app.command("issue")
def issue(
    gateway: GatewayArgument,
    out: Annotated[Path, typer.Option(help="A folder for the certificates.")],
    config: ConfigOption = DEFAULT_CONFIG,
    request: Annotated[Path | None, typer.Option(help="A signing request; without it a key is made too.")] = None,
    json: JsonOption = False,
) -> None:
    """Issue a gateway's two certificates, one for each of its sessions, both of one key.

    Example: hearthline cloud ca issue gw-east-1 --out gw-east-1 --config cloud.toml
    """
    settings = load_cloud_config(config)
    identity = _identity(settings)
    if (out / KEY).exists():
        raise RefusedError(f"{out / KEY}: there is a key already; it is never written over")
    now_ns = time.time_ns()
    authority = ca.Authority(Path(identity.folder), certificates.utc(now_ns))
    key = None if request is not None else ec.generate_private_key(ec.SECP256R1())
    public = ca.requested_key(_read(request), gateway) if request is not None else key.public_key()  # type: ignore[union-attr]
    with closing(open_database(settings)) as database, database.transaction() as connection:
        made = certificates.issue(connection, authority, gateway, public, now_ns, _ACTOR)
    _wake(settings)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    if key is not None:
        ca.write_secret(out / KEY, ca.key_pem(key))
    for name, each in zip((CERTIFICATE, SECOND_CERTIFICATE), made, strict=True):
        ca.write_public(out / name, each.pem)
    ca.write_public(out / ROOT, _read(Path(identity.folder) / ca.ROOT_CERT))
    ends = f"{made[0].ends:%Y-%m-%d}"
    say(
        {"gateway": gateway, "serials": [each.serial for each in made], "ends": ends},
        json,
        f"{gateway} has its certificates until {ends}, in {out}.",
    )


@ca_app.command("revoke")
def revoke(
    gateway: GatewayArgument,
    config: ConfigOption = DEFAULT_CONFIG,
    reason: Annotated[str, typer.Option(help="Why; it stands in the journal.")] = "",
    wait: Annotated[float, typer.Option(help="Seconds to wait until the broker has thrown it out.")] = 5.0,
    json: JsonOption = False,
) -> int:
    """Throw a gateway out, now and for good: every certificate of it; 1 if the broker has not done so in time.

    Example: hearthline cloud ca revoke gw-east-1 --reason stolen --config cloud.toml
    """
    settings = load_cloud_config(config)
    with closing(open_database(settings)) as database:
        with database.transaction() as connection:
            now_ns = time.time_ns()
            count = certificates.revoke(connection, gateway, reason, now_ns, _ACTOR)
            line = withdrawn.revoked(connection, gateway, now_ns)
        withdrawn.note(settings.withdrawn_path, line)
        _wake(settings)
        is_out = _await_out(database, gateway, wait)
    human = f"{gateway}: {count} certificates revoked. " + (
        "The broker has thrown it out." if is_out else "The broker has NOT been told yet: does the role desk run?"
    )
    say({"gateway": gateway, "revoked": count, "out": is_out}, json, human)
    return 0 if is_out else 1


@ca_app.command("list")
def list_(config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """List every certificate that was issued to a gateway.

    Example: hearthline cloud ca list --config cloud.toml
    """
    with center(config) as (_, database), database.reading() as connection:
        held = certificates.held(connection)
    lines = [f"{each.session}  {each.serial}  until {rfc3339(each.ends_ns)[:10]}{_fate(each)}" for each in held]
    say(held, json, "\n".join(lines) or "No certificate was issued yet.")


def broker_config(
    config: ConfigOption = DEFAULT_CONFIG,
    out: Annotated[Path | None, typer.Option(help="Where to; by default identity.broker.")] = None,
    keep_state: Annotated[bool, typer.Option(help="Write mosquitto.conf anew, and leave the broker's state.")] = False,
) -> None:
    """Write what mosquitto needs: its configuration, its certificate, passwords, who may do what at first.

    Example: hearthline cloud broker-config --config cloud.toml
    """
    settings = load_cloud_config(config)
    identity = _identity(settings)
    folder = (out or Path(identity.broker)).absolute()
    state = folder / broker.STATE
    if state.exists() and not keep_state:
        raise RefusedError(
            f"{state}: this broker has its state already, and running it changes it; --keep-state leaves it, or stop "
            "the broker and remove the file"
        )
    plugin = identity.plugin or _find_plugin()
    place = broker.Broker(folder, plugin, identity.host, identity.port, settings.broker.port)
    now_ns = time.time_ns()
    authority = ca.Authority(Path(identity.folder), certificates.utc(now_ns))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with closing(open_database(settings)) as database, database.reading() as connection:
        wanted = certificates.standing(connection, now_ns)
    ca.write_public(folder / ca.CHAIN, _read(Path(identity.folder) / ca.CHAIN))
    ca.write_public(folder / ca.LIST, authority.revocation_list(wanted.revoked, now_ns // NS, certificates.utc(now_ns)))
    if not (folder / broker.SERVER_CERT).exists():
        _make_server(identity, folder)
    passwords = {name: _own_password(folder / f"{name}.password") for name in (broker.INGEST, broker.KEEPER)}
    if not state.exists():
        ca.write_secret(state, msgspec.json.encode(broker.first_state(passwords, wanted.gateways)))
    ca.write_public(folder / broker.CONF, broker.configuration(place).encode())
    typer.echo(f"mosquitto -c {folder / broker.CONF}   runs the broker; [broker] of the cloud: username = ")
    typer.echo(f'"{broker.INGEST}", password_file = "{folder / broker.INGEST}.password".')


def _own_password(path: Path) -> str:
    """The one that is there, else a new one."""
    if not path.exists():
        ca.write_secret(path, broker.new_password().encode() + b"\n")
    return read_secret(str(path), str(path)) or ""


def _make_server(identity: IdentityConfig, folder: Path) -> str:
    now = ca.utc_now()
    made, key = ca.Authority(Path(identity.folder), now).issue_server(identity.names, now)
    ca.write_secret(folder / broker.SERVER_KEY, key)
    ca.write_public(folder / broker.SERVER_CERT, made.pem)
    return f"{made.ends:%Y-%m-%d}"


def _find_plugin() -> str:
    found = glob.glob(_PLUGIN)
    if not found:
        raise ConfigError(f"no {_PLUGIN}: install mosquitto, or say where its plugin is with identity.plugin")
    return found[0]


def _await_out(database: Database, gateway: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        with database.reading() as connection:
            waiting = certificates.standing(connection, time.time_ns()).unenforced.values()
        if gateway not in map(broker.gateway_of, waiting):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)


def _fate(held: certificates.Held) -> str:
    if held.revoked_ns is None:
        return "" if held.seen_ns is None else f"  in use since {rfc3339(held.seen_ns)[:10]}"
    return f"  REVOKED {rfc3339(held.revoked_ns)[:10]}" + (f" ({held.reason})" if held.reason else "")


def _identity(settings: CloudConfig) -> IdentityConfig:
    if not settings.identity.folder:
        raise ConfigError("this needs folder, broker and names in the section [identity] of cloud.toml")
    return settings.identity


def _wake(settings: CloudConfig) -> None:
    waker = Waker(settings.directory)
    waker.wake("keeper")
    waker.close()


def _passphrase(file: Path | None) -> bytes | None:
    secret = read_secret(None if file is None else str(file), "--passphrase-file")
    return None if secret is None else secret.encode()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
