"""The center's certificate authority, as files.

    root      20 years, signs the issuing certificate and nothing else; its key lies on a stick in a safe
    issuing    5 years, signs certificates of gateways and servers and the revocation list; its key lies here, 0600
    gateway   90 days, one for each of the gateway's sessions: `gw-1`, `gw-1~second`

All keys are ECDSA P-256. A gateway makes its own key and sends a signing request; of a request only the public key
counts: name, lifetime and use are ours (RFC 5280; RFC 2986 for the request). The revocation list is good for 7 days and
is written anew long before: a broker with an expired one lets nobody in.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hearthline.config import check_private
from hearthline.errors import ConfigError, RefusedError
from hearthline.whole_file import PRIVATE, PUBLIC, write_whole

ROOT_DAYS, ISSUING_DAYS, SERVER_DAYS, GATEWAY_DAYS = 20 * 365, 5 * 365, 365, 90
LIST_DAYS = 7
_BACKDATED = timedelta(hours=1)  # a gateway's clock may be a little behind ours
ROOT_CERT, ROOT_KEY = "root.crt", "root.key"
ISSUING_CERT, ISSUING_KEY, CHAIN, LIST = "issuing.crt", "issuing.key", "chain.crt", "revoked.crl"
MAX_REQUEST = 8192  # bytes of a signing request


class RequestError(RefusedError):
    """A signing request that is none, is not signed by its own key, or has a key or name that we do not take.

    `key`: its key's digest (`key_digest`), as far as it could be read.
    """

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was made: PEM of it and the issuing one after it; `serial` in hexadecimal."""

    serial: str
    name: str
    pem: bytes
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Revoked:
    serial: str
    at: datetime


def make_root(folder: Path, center: str, now: datetime, passphrase: bytes | None = None) -> None:
    """A new root in `folder`, which must have none. `center`: how the certificates call it."""
    if (folder / ROOT_KEY).exists():
        raise RefusedError(f"{folder / ROOT_KEY}: there is a root already; it is never written over")
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{center} root")
    made = _authority(name, name, key.public_key(), now, ROOT_DAYS, path_length=1).sign(key, hashes.SHA256())
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_secret(folder / ROOT_KEY, key_pem(key, passphrase))
    write_public(folder / ROOT_CERT, _pem(made))


def make_issuing(folder: Path, root_folder: Path, center: str, now: datetime, passphrase: bytes | None = None) -> None:
    """An issuing key and certificate in `folder`, signed by the root.

    A key that is there is kept and certified anew under its name: what it has issued, and its revocation list, hold on.
    """
    root_key = _load_key(root_folder / ROOT_KEY, passphrase)
    root = _load(root_folder / ROOT_CERT)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (folder / ISSUING_KEY).exists():
        key, named = _load_key(folder / ISSUING_KEY, None), _load(folder / ISSUING_CERT).subject
    else:
        key, named = ec.generate_private_key(ec.SECP256R1()), _name(f"{center} issuing")
    made = _authority(named, root.subject, key.public_key(), now, ISSUING_DAYS, path_length=0)
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(_public(root))
    signed = made.add_extension(above, critical=False).sign(root_key, hashes.SHA256())
    write_secret(folder / ISSUING_KEY, key_pem(key, None))
    write_public(folder / ISSUING_CERT, _pem(signed))
    write_public(folder / ROOT_CERT, _pem(root))
    write_public(folder / CHAIN, _pem(signed) + _pem(root))


class Authority:
    """The issuing part, opened from its folder. Raises ConfigError for what is missing, open to others, or ended."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self._folder = folder
        self._key = _load_key(folder / ISSUING_KEY, None)
        self._certificate = _load(folder / ISSUING_CERT)
        if _public(self._certificate) != self._key.public_key():
            raise ConfigError(f"{folder}: {ISSUING_CERT} does not belong to {ISSUING_KEY}")
        if self.ends <= now:
            raise ConfigError(f"{folder / ISSUING_CERT} ended on {self.ends:%Y-%m-%d}: make a new one from the root")

    @property
    def ends(self) -> datetime:
        return self._certificate.not_valid_after_utc

    def secret_for(self, purpose: str) -> bytes:
        """32 bytes that whoever has the issuing key can make again, and nobody else: another for each purpose."""
        number = self._key.private_numbers().private_value.to_bytes(32, "big")
        return hmac.digest(number, f"hearthline {purpose}".encode(), "sha256")

    def issue_client(self, name: str, public_key: ec.EllipticCurvePublicKey, now: datetime) -> Issued:
        """A certificate by which the broker knows a session as `name`."""
        return self._issue(name, public_key, now, GATEWAY_DAYS, ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def issue_server(self, names: Sequence[str], now: datetime) -> tuple[Issued, bytes]:
        """A certificate for a server under these host names or addresses, and its new key as PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        issued = self._issue(names[0], key.public_key(), now, SERVER_DAYS, ExtendedKeyUsageOID.SERVER_AUTH, names)
        return issued, key_pem(key, None)

    def revocation_list(self, revoked: Iterable[Revoked], number: int, now: datetime) -> bytes:
        """The list of what is not valid any more, as PEM, good for `LIST_DAYS`."""
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - _BACKDATED)
            .next_update(now + timedelta(days=LIST_DAYS))
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(int(each.serial, 16)).revocation_date(each.at)
            made = made.add_revoked_certificate(entry.build())
        return made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _issue(
        self,
        name: str,
        public_key: ec.EllipticCurvePublicKey,
        now: datetime,
        days: int,
        usage: x509.ObjectIdentifier,
        hosts: Sequence[str],
    ) -> Issued:
        serial = x509.random_serial_number()
        ends = min(now + timedelta(days=days), self.ends)
        made = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self._certificate.subject)
            .public_key(public_key)
            .serial_number(serial)
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_SIGNS, critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if hosts:
            made = made.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        signed = made.sign(self._key, hashes.SHA256())
        return Issued(f"{serial:x}", name, _pem(signed) + _pem(self._certificate), signed.not_valid_before_utc, ends)


def requested_key(request: bytes, name: str) -> ec.EllipticCurvePublicKey:
    """The public key of a signing request (PEM) that proves that it has the private one. Raises RequestError.

    `name`: whose it must be, by its common name; a request that names nobody is anybody's.
    """
    if len(request) > MAX_REQUEST:
        raise RequestError(f"a signing request has at most {MAX_REQUEST} bytes")
    try:
        asked = x509.load_pem_x509_csr(request)
        key = asked.public_key()
        signed = asked.is_signature_valid
        named = {each.value for each in asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
        digest = _digest(key)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise RequestError(f"this is no signing request: {error}") from None
    if not signed:
        raise RequestError("the signing request is not signed by its own key", digest)
    if not named <= {name}:
        raise RequestError(f"the signing request is for another name than {name}", digest)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RequestError("the key of a signing request must be ECDSA P-256", digest)
    return key


def key_digest(key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256 of its SubjectPublicKeyInfo, hexadecimal."""
    return _digest(key)


def proves(certificate_pem: bytes, proof: str, content: bytes) -> bool:
    """Whether `proof` (hexadecimal) is `content` signed by the certificate's key, with ECDSA and SHA-256."""
    try:
        key = _public(x509.load_pem_x509_certificate(certificate_pem))
        key.verify(bytes.fromhex(proof), content, ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature):
        return False
    return True


def list_ends(path: Path) -> datetime | None:
    """When the revocation list in the file ends to be good; None for a file that is absent or none."""
    try:
        found = x509.load_pem_x509_crl(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found.next_update_utc


def write_secret(path: Path, content: bytes) -> None:
    """A file that only its owner can read, whole or not at all."""
    write_whole(path, content, PRIVATE)


def write_public(path: Path, content: bytes) -> None:
    """A file that everybody may read, whole or not at all."""
    write_whole(path, content, PUBLIC)


_SIGNS = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_CERTIFIES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _authority(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
    path_length: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_CERTIFIES, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _digest(key: CertificatePublicKeyTypes) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _public(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ConfigError("the certificate's key is not an elliptic-curve key")
    return key


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path}: this is no certificate in PEM") from None


def _load_key(path: Path, passphrase: bytes | None) -> ec.EllipticCurvePrivateKey:
    if passphrase is None:
        check_private(path, "private key")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), passphrase)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise ConfigError(f"{path}: no private key in PEM, or the passphrase is wrong") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{path}: not an elliptic-curve key")
    return key


def key_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes | None = None) -> bytes:
    """The private key as PKCS #8, locked with the passphrase if there is one."""
    locked: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        locked = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def utc_now() -> datetime:
    return datetime.now(UTC)
