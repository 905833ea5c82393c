"""What crosses between a gateway that is new and its center: a request that proves the code, a sealed answer.

    code --scrypt--> master -+-> Ed25519 key: signs the request; the center keeps the public half
                             +-> answer key ; seals the answer; the center's desk alone can open what is kept of it
                             +-> bundle key : seals the file on a stick; kept nowhere

    sealed   "HLE" | version 1 | kind | offer, 6 characters | nonce, 12 | AES-256-GCM of the content, tag 16
             associated data: everything before the nonce, and what the document is bound to

scrypt with n = 2^15, r = 8, p = 1 takes 32 MiB for a moment, which a Pi with 512 MiB has. `cryptography` is imported by
what needs it: the running agent never does.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from hearthline.enrolment_code import OFFER, Code
from hearthline.errors import ProtocolError

SCRYPT_N: Final = 2**15
_SCRYPT_R, _SCRYPT_P = 8, 1
_SCRYPT_MOST: Final = 64 * 1024 * 1024  # OpenSSL's own bound of 32 MiB is just too little for 32 MiB
_MAGIC: Final = b"HLE"
VERSION: Final = 1
_NONCE, _TAG = 12, 16
_HEADER: Final = len(_MAGIC) + 2 + OFFER
MAX_DEVICES: Final = 1000
MAX_KIT: Final = 512 * 1024  # bytes of a sealed document
MAX_REQUEST: Final = 8192  # characters of a signing request


class Kind(IntEnum):
    """Of a sealed document."""

    ANSWER = 1
    BUNDLE = 2


class Unsealed(StrEnum):
    """Why a document does not open."""

    FOREIGN = "foreign"  # none of ours
    VERSION = "version"  # of a newer center
    OFFER = "offer"  # of another code
    BROKEN = "broken"  # changed or cut; or the code is of the same offer and not its own
    CONTENT = "content"  # opened, and makes no sense


class SealError(ProtocolError):
    """`why`: of a document that does not open."""

    def __init__(self, why: Unsealed) -> None:
        super().__init__(f"this sealed document cannot be used: {why}")
        self.why = why


@dataclass(frozen=True, slots=True)
class Keys:
    """What a code gives, on both sides."""

    offer: str
    _master: bytes

    def __repr__(self) -> str:
        return f"Keys({self.offer})"

    def key(self, kind: Kind) -> bytes:
        return self._derived(kind.name.lower())

    @property
    def verifier(self) -> str:
        """The public key by which a request is known to be of this code, hexadecimal."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._derived("request")).public_key().public_bytes_raw().hex()

    def prove(self, request: str) -> str:
        """The signature of a signing request, hexadecimal."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._derived("request")).sign(_said(self.offer, request)).hex()

    def _derived(self, what: str) -> bytes:
        return hmac.digest(self._master, f"hearthline enrolment {VERSION} {what}".encode(), "sha256")


def unlock(code: Code, n: int = SCRYPT_N) -> Keys:
    """The keys of a code; takes 32 MiB, and a second on a small board. `n`: scrypt's cost, the same everywhere."""
    salt = f"hearthline enrolment {VERSION} {code.offer}".encode()
    secret = code.secret.encode()
    master = hashlib.scrypt(secret, salt=salt, n=n, r=_SCRYPT_R, p=_SCRYPT_P, maxmem=_SCRYPT_MOST, dklen=32)
    return Keys(code.offer, master)


def proves(verifier: str, offer: str, request: str, proof: str) -> bool:
    """Whether who made the request knows the code. Takes as long for a right proof as for a wrong one."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(verifier))
        key.verify(bytes.fromhex(proof), _said(offer, request))
    except (ValueError, InvalidSignature):
        return False
    return True


def _said(offer: str, request: str) -> bytes:
    return f"hearthline enrolment {VERSION}\n{offer}\n{request}".encode()


# --- sealed documents ------------------------------------------------------------------------------------------------


def seal(key: bytes, kind: Kind, offer: str, content: bytes, bound: str = "") -> bytes:
    """`bound`: what else must be the same when it is opened, e.g. the digest of the key that the answer is for."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header = _MAGIC + bytes((VERSION, kind)) + offer.encode()
    nonce = os.urandom(_NONCE)
    return header + nonce + AESGCM(key).encrypt(nonce, content, header + bound.encode())


def open_sealed(key: bytes, kind: Kind, offer: str, document: bytes, bound: str = "") -> bytes:
    """Raises SealError."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if document[: len(_MAGIC)] != _MAGIC or len(document) > MAX_KIT:
        raise SealError(Unsealed.FOREIGN)
    if len(document) < _HEADER + _NONCE + _TAG:
        raise SealError(Unsealed.BROKEN)
    header, nonce = document[:_HEADER], document[_HEADER : _HEADER + _NONCE]
    if header[3] != VERSION:
        raise SealError(Unsealed.VERSION)
    if header[4] != kind:
        raise SealError(Unsealed.FOREIGN)
    if header[5:] != offer.encode():
        raise SealError(Unsealed.OFFER)
    try:
        return AESGCM(key).decrypt(nonce, document[_HEADER + _NONCE :], header + bound.encode())
    except InvalidTag:
        raise SealError(Unsealed.BROKEN) from None


# --- what is in them -------------------------------------------------------------------------------------------------

Pem = Annotated[str, Meta(min_length=1, max_length=16_384, pattern="^-----BEGIN [A-Z ]+-----\n")]
Line = Annotated[str, Meta(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*\Z")]


Role = Literal["emergency", "service", "cancel", "ignore"]


class KitDevice(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A device of the home, as the registry has it. `buttons`: what they mean; `user`: which user of a shared cuff."""

    id: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
    name: Line = ""
    room: Line = ""
    kind: Annotated[str, Meta(max_length=32, pattern=r"^[a-z0-9-]*\Z")] = ""
    buttons: Annotated[dict[Line, Role], Meta(max_length=32)] = {}
    user: Annotated[int, Meta(ge=0, le=999)] | None = None


class Kit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that makes a machine this gateway. `key`: its private key, in a bundle alone; `until_ns`: of a bundle."""

    gateway: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
    host: Annotated[str, Meta(pattern=r"^[A-Za-z0-9:][A-Za-z0-9:._-]{0,252}\Z")]
    port: Annotated[int, Meta(ge=1, le=65535)]
    first: Pem
    second: Pem
    root: Pem
    devices: Annotated[tuple[KitDevice, ...], Meta(max_length=MAX_DEVICES)] = ()
    key: Annotated[str, Meta(max_length=4096)] = ""
    until_ns: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0


def encode_kit(kit: Kit) -> bytes:
    return msgspec.json.encode(kit)


def decode_kit(content: bytes) -> Kit:
    """Raises SealError for what is no kit; unknown keys are ignored."""
    try:
        return msgspec.json.decode(content, type=Kit)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise SealError(Unsealed.CONTENT) from None
