"""A new key and a signing request for it: `hearthline edge request`, and the short-lived process that renews.

The agent never imports this module: `cryptography` would stay in its memory for one use in two months. It starts
`python -m hearthline_edge.requesting`, which reads what to do as JSON from its input and writes what it made as JSON.
The new key is on the disk before the request exists, and is used again by whoever asks once more.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hearthline.errors import ConfigError
from hearthline.whole_file import write_whole

_NICE = 19


class Task(msgspec.Struct):
    """`new_key`: where the new key is, or is to be. `present_key`: the key that the gateway uses now."""

    gateway: str
    new_key: str
    present_key: str


class Made(msgspec.Struct):
    """`key`: SHA-256 of the new key's SubjectPublicKeyInfo; `request`: PEM; `proof`: it, signed by the present key."""

    key: str
    request: str
    proof: str


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def signing_request(gateway: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """PEM (RFC 2986). Of what it asks for the center looks at the name and the key alone. "": no name is known yet."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, gateway)] if gateway else [])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def carry_out(task: Task) -> Made:
    """Raises ConfigError for a present key that cannot be used, OSError for a disk that takes no new one."""
    present = _load(Path(task.present_key))
    path = Path(task.new_key)
    key = kept_key(path)
    request = signing_request(task.gateway, key)
    proof = present.sign(request, ec.ECDSA(hashes.SHA256()))
    return Made(digest_of(key), request.decode(), proof.hex())


def digest_of(key: ec.EllipticCurvePrivateKey) -> str:
    """SHA-256 of its SubjectPublicKeyInfo, hexadecimal."""
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()


def kept_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key in this file, made where there is none that can be used. Raises OSError."""
    try:
        return _load(path)
    except ConfigError:  # there is none yet, or what a full disk has left of one
        key = new_key()
        write_whole(path, key_pem(key))
        return key


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (ValueError, TypeError):
        raise ConfigError(f"{path}: no private key in PEM, or it is locked by a passphrase") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{path}: not an elliptic-curve key, which alone is renewed")
    return key


def main() -> int:
    with suppress(PermissionError):  # the service's filter of system calls forbids it, and there it goes without
        os.nice(_NICE)
    try:
        made = carry_out(msgspec.json.decode(sys.stdin.buffer.read(), type=Task))
    except (ConfigError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
