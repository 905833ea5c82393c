"""A center's part of an enrolment without a center: certificates, answers and bundles for one code."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hearthline.clock import Stamp
from hearthline.enrolment import Keys, Kind, Kit, KitDevice, encode_kit, proves, seal, unlock
from hearthline.enrolment_code import Code, new_code
from hearthline_edge.enrolling_link import Words
from hearthline_edge.requesting import digest_of, key_pem, new_key

PENDANT = KitDevice(id="enocean:002EE196", name="吊坠", room="卧室", kind="pendant", buttons={"*": "emergency"})
NOW = Stamp(1_800_000_000 * 10**9, 10**9, "boot", True)


def certificate(name: str, key: ec.EllipticCurvePublicKey) -> str:
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key)
        .serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(now + timedelta(days=90))
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )  # fmt: skip
    return made.public_bytes(serialization.Encoding.PEM).decode()


ROOT = certificate("root", new_key().public_key())


@dataclass
class Center:
    """Answers for one code; `asked`: the keys that asked, by their digests."""

    gateway: str = "gw-1"
    code: Code = field(default_factory=lambda: new_code(secrets.choice))
    devices: tuple[KitDevice, ...] = (PENDANT,)
    cost: int = 2**4  # of scrypt
    asked: list[str] = field(default_factory=list)
    certified: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys: Keys = unlock(self.code, self.cost)

    def kit(self, public: ec.EllipticCurvePublicKey, digest: str, **more: Any) -> Kit:
        """The same certificates for the same key."""
        if digest not in self.certified:
            self.certified[digest] = (certificate(self.gateway, public), certificate(f"{self.gateway}~second", public))
        first, second = self.certified[digest]
        facts: dict[str, Any] = {"gateway": self.gateway, "host": "center.example.org", "port": 8883, "root": ROOT}
        return Kit(**{**facts, "first": first, "second": second, "devices": self.devices, **more})

    def ask(self, words: Words) -> bytes:
        assert proves(self.keys.verifier, words.offer, words.request, words.proof)
        public = x509.load_pem_x509_csr(words.request.encode()).public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        digest = hashes.Hash(hashes.SHA256())
        digest.update(public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
        name = digest.finalize().hex()
        self.asked.append(name)
        return seal(self.keys.key(Kind.ANSWER), Kind.ANSWER, words.offer, encode_kit(self.kit(public, name)), name)

    def bundle(self, file: Path, **changes: Any) -> Path:
        key = new_key()
        more: dict[str, Any] = {"key": key_pem(key).decode(), "until_ns": NOW.wall_ns + 10**15, **changes}
        kit = self.kit(key.public_key(), digest_of(key), **more)
        file.write_bytes(seal(self.keys.key(Kind.BUNDLE), Kind.BUNDLE, self.keys.offer, encode_kit(kit)))
        return file
