"""`hearthline gateway enrol`: from a one-time code to a whole configuration folder.

    code --> [key, made once] --> request --> sealed answer --+
    code --> file on a stick ---------------------------------+--> kit --> folder made and looked at --> in its place

Nothing that is in use changes before the last step, which is one rename. Whatever stops it, power, disk or a finger on
Ctrl-C, the same command goes on: the key is the same, so the center gives the same answer.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from hearthline.clock import Stamp, rfc3339
from hearthline.config import check_config
from hearthline.enrolment import MAX_KIT, Keys, Kind, Kit, SealError, Unsealed, decode_kit, open_sealed
from hearthline.errors import ConfigError
from hearthline.whole_file import PUBLIC, write_whole
from hearthline_edge import enrolling_config as text
from hearthline_edge.agent_folder import NAME as AGENT
from hearthline_edge.agent_folder import agent_folder
from hearthline_edge.config import EdgeFile, UplinkConfig
from hearthline_edge.device_list import FILE as DEVICES
from hearthline_edge.device_list import ListedDevice, as_listed, load_list, with_center_list, write_list
from hearthline_edge.enrolling_config import CERTIFICATE, EDGE, KEY, ROOT, SECOND, Machine
from hearthline_edge.enrolling_folder import File, Stage, give_as, told
from hearthline_edge.enrolling_link import Words
from hearthline_edge.enrolling_texts import EnrolError
from hearthline_edge.foreign_folder import read_plain
from hearthline_edge.link import CertificateFiles, tls_context
from hearthline_edge.remote_trial import CENTER_FILE

_BROKERS: Final = ("/usr/sbin/mosquitto", "/usr/bin/mosquitto", "/usr/local/sbin/mosquitto")
_PORTS: Final = Path("/dev/serial/by-id")
_SERVED_PORTS: Final = 16


class Source(Protocol):
    """Where the kit comes from."""

    def kit(self, key: Path) -> tuple[Kit, bytes]:
        """The kit and the gateway's private key (PEM); `key`: where one is kept that is made here."""
        ...


@dataclass(frozen=True, slots=True)
class Network:
    """The center, asked for an answer to the key that was made here. `ask`: sends words, gives the sealed answer."""

    keys: Keys
    ask: Callable[[Words], bytes]

    def kit(self, key: Path) -> tuple[Kit, bytes]:
        from hearthline_edge import requesting  # brings `cryptography`

        made = requesting.kept_key(key)
        request = requesting.signing_request("", made).decode()
        document = self.ask(Words(self.keys.offer, request, self.keys.prove(request)))
        try:
            sealed = (self.keys.key(Kind.ANSWER), Kind.ANSWER, self.keys.offer, document, requesting.digest_of(made))
            kit = decode_kit(open_sealed(*sealed))
        except SealError as error:
            raise EnrolError("answer-version" if error.why is Unsealed.VERSION else "answer-foreign") from None
        return kit, requesting.key_pem(made)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A file on a stick."""

    keys: Keys
    file: Path
    now: Stamp

    def kit(self, key: Path) -> tuple[Kit, bytes]:
        try:
            with self.file.open("rb") as opened:
                document = opened.read(MAX_KIT + 1)
        except OSError as error:
            raise EnrolError("bundle-unreadable", file=self.file, why=error.strerror) from None
        try:
            kit = decode_kit(open_sealed(self.keys.key(Kind.BUNDLE), Kind.BUNDLE, self.keys.offer, document))
        except SealError as error:
            key_of = {Unsealed.VERSION: "answer-version", Unsealed.CONTENT: "bundle-foreign"}
            raise EnrolError(key_of.get(error.why, f"bundle-{error.why}"), file=self.file) from None
        if not kit.key:
            raise EnrolError("bundle-foreign", file=self.file)
        if self.now.synced and kit.until_ns <= self.now.wall_ns:
            raise EnrolError("bundle-expired", file=self.file, until=rfc3339(kit.until_ns)[:10])
        return kit, kit.key.encode()


@dataclass(frozen=True, slots=True)
class Enrolled:
    """`aside`: where the configuration of before is kept. `carried`: what the installer had set here was taken over."""

    gateway: str
    config: Path
    devices: int
    aside: Path | None = None
    carried: bool = False
    already: bool = False


def enrol(offer: str, source: Source, folder: Path, data_dir: str, machine: Machine, now: Stamp) -> Enrolled:
    """Raises EnrolError; then nothing in use was changed, and it may be repeated."""
    folder = folder.resolve()
    stage = Stage(folder, offer)
    try:
        already = stage.is_done
        with stage.begun():
            if not stage.is_done:
                if not stage.is_ready:
                    kit, key = source.kit(stage.key)
                    _make(stage, kit, key, data_dir, machine, rfc3339(now.wall_ns)[:10])
                stage.put()
            aside = stage.clear()
        tree = tomllib.loads((folder / EDGE).read_text(encoding="utf-8"))
        Path(tree["data_dir"]).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise told(error, folder) from None
    devices = _tree(agent_folder(folder) / DEVICES).get("device", [])
    carried = aside is not None and text.is_renewed(_tree(aside / EDGE), tree)
    return Enrolled(tree["gateway"], folder / EDGE, len(devices), aside, carried, already)


def find_machine() -> Machine:
    """What this machine has."""
    ports: list[str] = []
    with suppress(OSError):
        ports = sorted(str(each) for each in _PORTS.iterdir())[:_SERVED_PORTS]
    return Machine(any(Path(each).exists() for each in _BROKERS), ports)


def _make(stage: Stage, kit: Kit, key: bytes, data_dir: str, machine: Machine, day: str) -> None:
    """Everything on the disk, and looked at as the agent will."""
    before = _tree(stage.folder / EDGE)
    is_same = before.get("gateway") == kit.gateway
    is_others = before.get("data_dir") == data_dir or (Path(data_dir) / "outbox.db").exists()
    if not is_same and is_others:
        data_dir = f"{data_dir}-{kit.gateway}"  # what waits in another gateway's outbox is not ours
    edge = None
    if is_same:
        edge = text.renewed_toml((stage.folder / EDGE).read_text(encoding="utf-8"), kit, stage.folder)
    edge = edge or text.edge_toml(kit, stage.folder, data_dir, machine, day)
    files = {
        KEY: File(key),
        CERTIFICATE: File(kit.first.encode(), True),
        SECOND: File(kit.second.encode(), True),
        ROOT: File(kit.root.encode(), True),
        EDGE: File(edge.encode()),
    }
    place = stage.making(files, frozenset({AGENT}))
    try:
        _make_agents_own(agent_folder(place), agent_folder(stage.folder), kit, is_same)
        check_config(tomllib.loads(edge), EdgeFile, EDGE)
        config = UplinkConfig(host=kit.host, ca_file=str(place / ROOT))
        shown = CertificateFiles(str(place / CERTIFICATE), str(place / KEY), str(place / SECOND))
        for second in (False, True):
            tls_context(config, shown, second)  # OpenSSL says whether key and certificate fit
    except ConfigError as error:
        raise EnrolError("unusable", why=error) from None
    stage.made()


def _make_agents_own(own: Path, present: Path, kit: Kit, is_same: bool) -> None:
    """The devices, and of this very gateway also what was bound here and what the center had changed.

    Of the present folder, which the agent may write, two files are read by name: it cannot lead us elsewhere.
    """
    listed = [as_listed(msgspec.to_builtins(device)) for device in kit.devices]
    write_list(own, with_center_list(_bound_here(present) if is_same else [], listed))
    changed = _plain(present / CENTER_FILE) if is_same else None
    if changed is not None:
        write_whole(own / CENTER_FILE, changed, PUBLIC)
    if present.is_dir():
        for each in (own, *own.iterdir()):
            give_as(present, each)


def _plain(path: Path) -> bytes | None:
    try:
        return read_plain(path)
    except OSError:
        return None


def _bound_here(folder: Path) -> list[ListedDevice]:
    try:
        return load_list(folder)
    except ConfigError:  # the agent has told so; it is kept aside with the rest
        return []


def _tree(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
