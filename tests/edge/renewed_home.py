"""A gateway's certificates as files, and a center that signs for it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from hearthline import wire
from hearthline.clock import NS, Stamp
from hearthline_cloud.identity.authority import (
    Authority,
    Issued,
    key_digest,
    key_pem,
    make_issuing,
    make_root,
    requested_key,
    write_secret,
)
from hearthline_cloud.identity.broker import sessions_of
from hearthline_edge.config import UplinkConfig

GATEWAY = "gw-1"
NOW = datetime.now(UTC).replace(microsecond=0)
DAY_NS = 24 * 3600 * NS


def stamp(days: float = 0.0, synced: bool = True) -> Stamp:
    """So many days after `NOW`."""
    return Stamp(round(NOW.timestamp() * NS + days * DAY_NS), time.monotonic_ns(), "boot", synced)


@dataclass
class Signer:
    """The center's authority: the same key gets the same answer."""

    authority: Authority
    answers: dict[str, wire.CertificateAnswer] = field(default_factory=dict)

    @classmethod
    def opened(cls, folder: Path) -> Signer:
        return cls(Authority(folder / "pki", NOW))

    def issue(self, key: ec.EllipticCurvePublicKey, days: float = 0.0) -> tuple[Issued, Issued]:
        first, second = (
            self.authority.issue_client(each, key, NOW + timedelta(days=days)) for each in sessions_of(GATEWAY)
        )
        return first, second

    def answer(self, request: str, days: float = 62.0) -> wire.CertificateAnswer:
        key = requested_key(request.encode(), GATEWAY)
        digest = key_digest(key)
        if digest not in self.answers:
            first, second = self.issue(key, days)
            self.answers[digest] = wire.CertificateAnswer(
                key=digest, first=first.pem.decode(), second=second.pem.decode()
            )
        return self.answers[digest]


def make_signer(folder: Path) -> Signer:
    make_root(folder / "root", "East", NOW)
    make_issuing(folder / "pki", folder / "root", "East", NOW)
    return Signer.opened(folder)


@dataclass
class Home:
    """What the installer has brought, and where the agent keeps its own."""

    folder: Path
    root: Path
    signer: Signer

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def certificates(self) -> Path:
        return self.data / "certificates"

    @property
    def config(self) -> UplinkConfig:
        first, second, key = (str(self.folder / name) for name in ("uplink.crt", "second.crt", "uplink.key"))
        return UplinkConfig(
            host="127.0.0.1", ca_file=str(self.root), cert_file=first, second_cert_file=second, key_file=key
        )

    def install(self, days: float = 0.0) -> None:
        """New files by hand."""
        key = ec.generate_private_key(ec.SECP256R1())
        first, second = self.signer.issue(key.public_key(), days)
        write_secret(self.folder / "uplink.key", key_pem(key))
        (self.folder / "uplink.crt").write_bytes(first.pem)
        (self.folder / "second.crt").write_bytes(second.pem)


def make_home(folder: Path, signer: Signer, root: Path) -> Home:
    home = Home(folder, root, signer)
    home.data.mkdir()
    home.install()
    return home
