"""Which certificates the gateway shows: those that the installer named, and those that it has renewed since.

    <data_dir>/certificates/
        next.key          the key of a renewal under way
        <serial>/         one renewal: uplink.key, uplink.crt, second.crt, and `proven` once it has let us in

A renewal appears whole by one rename, key and certificates together, and nothing that is in use is written over. It is
tried on the second session first; only when that is let in does the first session change over, when no alarm waits. The
newest that has let us in counts; after three attempts in a row that the broker has not taken, the others are tried in
between. What is older than the one that let us in is removed; the installer's files never are, and newer ones of his
count before any renewal.
"""

from __future__ import annotations

import secrets
import shutil
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hearthline.clock import Stamp
from hearthline.errors import ConfigError, ProtocolError
from hearthline.log import Log
from hearthline.whole_file import sync_folder, write_whole
from hearthline.wire import CertificateAnswer
from hearthline_edge.certificate import Facts, facts
from hearthline_edge.config import UplinkConfig
from hearthline_edge.link import CertificateFiles, tls_context

FOLDER: Final = "certificates"
KEY, CERTIFICATE, SECOND, PROVEN, NEXT_KEY = "uplink.key", "uplink.crt", "second.crt", "proven", "next.key"
_UNDER_WAY: Final = "new-"
_PATIENCE: Final = 3  # attempts with the one that has worked, before others are tried in between
log = Log(__name__)


@dataclass(frozen=True, slots=True)
class Identity:
    """One key with its certificates. `folder`: of a renewal; None: the installer's files. `facts`: None: not read."""

    files: CertificateFiles
    facts: Facts | None
    folder: Path | None = None

    @property
    def begins_ns(self) -> int:
        return 0 if self.facts is None else self.facts.begins_ns

    def has_ended(self, now: Stamp) -> bool:
        """By a clock that is worth something."""
        return self.facts is not None and now.synced and self.facts.ends_ns <= now.wall_ns

    @property
    def is_proven(self) -> bool:
        return self.folder is None or (self.folder / PROVEN).exists()


def turn(failures: int, others: int) -> int:
    """Which identity the next attempt shows after so many failures in a row: 0 the chosen one, else the n-th other."""
    late = failures - _PATIENCE
    if late < 0 or not others or late % 2:
        return 0
    return 1 + late // 2 % others


class Wallet:
    """Of one gateway. Only `adopt` and `settled` write; they may block, and run in a thread."""

    def __init__(self, config: UplinkConfig, data_dir: Path, *, looks_only: bool = False) -> None:
        """Raises ConfigError when there is nothing that could be shown. `looks_only`: beside the agent whose it is."""
        self._config = config
        self._looks_only = looks_only
        self.folder = data_dir / FOLDER
        self._contexts: dict[tuple[CertificateFiles, bool], ssl.SSLContext | None] = {}
        first = CertificateFiles(config.cert_file, config.key_file, config.second_cert_file)
        installed = Identity(first, _read(first))
        found = [installed, *self._load()] if self.renews else [installed]
        self._held = _newest_first(each for each in found if self._is_usable(each))
        if not self._held:
            self.context(installed)  # raises, with what is wrong
            self.context(installed, second=True)
        self.chosen = next((each for each in self._held if each.is_proven), self._held[0])

    @property
    def renews(self) -> bool:
        """Whether there is anything to renew: a certificate and key of our own, and the wish to."""
        config = self._config
        return config.renew and None not in (config.ca_file, config.cert_file, config.key_file)

    @property
    def is_key_shared(self) -> bool:
        """Whether what is shown is the installer's, and he brought the key in a file."""
        return self.renews and self._config.replace_key and self.chosen.folder is None

    def untried(self) -> Identity | None:
        """The newest, where it has not let us in yet and is newer than what has."""
        newest = self._held[0]
        return None if newest == self.chosen or newest.is_proven else newest

    def shown(self, failures: int, now: Stamp) -> Identity:
        """For the next attempt of the first session, after so many that the broker has not taken."""
        others = [each for each in self._held if each != self.chosen and not each.has_ended(now)]
        return [self.chosen, *others][turn(failures, len(others))]

    def context(self, identity: Identity, second: bool = False) -> ssl.SSLContext | None:
        """None without TLS. Raises ConfigError for files that cannot be used."""
        key = (identity.files, second)
        if key not in self._contexts:
            self._contexts[key] = tls_context(self._config, identity.files, second)
        return self._contexts[key]

    def adopt(self, answer: CertificateAnswer) -> Identity:
        """Keep the renewal that the center has signed. Raises ConfigError for one that does not fit, OSError."""
        key = self.folder / NEXT_KEY
        under_way = self.folder / f"{_UNDER_WAY}{secrets.token_hex(4)}"
        under_way.mkdir(mode=0o700)
        try:
            write_whole(under_way / KEY, key.read_bytes())
            write_whole(under_way / CERTIFICATE, answer.first.encode())
            write_whole(under_way / SECOND, answer.second.encode())
            trial = _identity_in(under_way)
            if trial.facts is None:
                raise ConfigError("the center's answer holds no certificate")
            for second in (False, True):
                tls_context(self._config, trial.files, second)  # OpenSSL says whether key and certificate fit
            place = self.folder / trial.facts.serial
            shutil.rmtree(place, ignore_errors=True)
            under_way.rename(place)
            sync_folder(self.folder)
        finally:
            shutil.rmtree(under_way, ignore_errors=True)
        key.unlink(missing_ok=True)
        made = _identity_in(place)
        for second in (False, True):
            self.context(made, second)
        self._held = _newest_first([*(each for each in self._held if each.folder != place), made])
        return made

    def prove(self, identity: Identity) -> None:
        """The broker has let us in with it: it counts from now on, also after a restart."""
        self.chosen = identity
        if identity.folder is not None and not identity.is_proven:
            with suppress(OSError):  # a full disk: then it is tried once more after the restart
                write_whole(identity.folder / PROVEN, b"")

    def settled(self) -> None:
        """Remove the renewals that are older than the chosen one, and their keys."""
        chosen = self.chosen
        old = [each for each in self._held if each.folder and each != chosen and each.begins_ns <= chosen.begins_ns]
        self._held = [each for each in self._held if each not in old]
        for each in old:
            shutil.rmtree(each.folder or "", ignore_errors=True)

    def _load(self) -> list[Identity]:
        """The renewals that are whole. A disk that gives none holds up no alarm."""
        try:
            if not self._looks_only:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            elif not self.folder.exists():
                return []
            places = sorted(place for place in self.folder.iterdir() if place.is_dir())
        except OSError as error:
            log.error("no renewed certificate can be read", folder=str(self.folder), error=str(error))
            return []
        under_way = [place for place in places if place.name.startswith(_UNDER_WAY)]
        found = [_identity_in(place) for place in places if place not in under_way]
        if not self._looks_only:
            for place in under_way:  # a power cut came while it was written
                shutil.rmtree(place, ignore_errors=True)
            self._drop_used_key(found)
        return found

    def _drop_used_key(self, found: list[Identity]) -> None:
        """A kill came between the renewal's rename and this: its key is no new one any more."""
        with suppress(OSError):
            key = (self.folder / NEXT_KEY).read_bytes()
            if any(each.folder is not None and (each.folder / KEY).read_bytes() == key for each in found):
                (self.folder / NEXT_KEY).unlink()

    def _is_usable(self, identity: Identity) -> bool:
        if identity.folder is not None and identity.facts is None:
            return False
        try:
            self.context(identity)
            self.context(identity, second=True)
        except ConfigError as error:
            log.warning("a certificate cannot be used", error=str(error))
            return False
        return True


def _newest_first(identities: Iterable[Identity]) -> list[Identity]:
    return sorted(identities, key=lambda each: each.begins_ns, reverse=True)


def _identity_in(folder: Path) -> Identity:
    files = CertificateFiles(str(folder / CERTIFICATE), str(folder / KEY), str(folder / SECOND))
    return Identity(files, _read(files), folder)


def _read(files: CertificateFiles) -> Facts | None:
    if files.cert_file is None:
        return None
    try:
        return facts(Path(files.cert_file).read_bytes())
    except (OSError, ProtocolError):
        return None
