"""What a certificate says of itself, read without a library of certificates: they cost more memory than the agent has.

    Certificate ::= SEQUENCE { tbsCertificate SEQUENCE {
        [0] version OPTIONAL, serialNumber INTEGER, signature SEQUENCE, issuer SEQUENCE,
        validity SEQUENCE { notBefore Time, notAfter Time }, ... } ... }                        (RFC 5280 section 4.1)

Nothing is verified here: that is the broker's part, and OpenSSL's when the files are loaded.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from hearthline.clock import NS
from hearthline.errors import ProtocolError

_FIRST_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_VERSION, _INTEGER, _SEQUENCE, _UTC_TIME, _GENERALIZED_TIME = 0xA0, 0x02, 0x30, 0x17, 0x18
_LIFE_USED: Final = 2 / 3  # when a new one is asked for; 30 of 90 days are left then
_SPREAD: Final = 1 / 30  # of a life: certificates that were made on one day are not renewed in one hour


@dataclass(frozen=True, slots=True)
class Facts:
    """`serial` in hexadecimal; times are Unix nanoseconds. `due_ns`: when it is time for a new one."""

    serial: str
    begins_ns: int
    ends_ns: int

    @property
    def due_ns(self) -> int:
        spread = int(hashlib.sha256(self.serial.encode()).hexdigest()[:8], 16) / 2**32
        return self.begins_ns + round((self.ends_ns - self.begins_ns) * (_LIFE_USED + _SPREAD * spread))


def facts(pem: bytes) -> Facts:
    """Of the first certificate in a PEM file. Raises ProtocolError for what is none."""
    block = _FIRST_BLOCK.search(pem)
    try:
        der = binascii.a2b_base64(b"" if block is None else block[1])
        at, _ = _part(der, 0, _SEQUENCE)
        at, _ = _part(der, at, _SEQUENCE)
        if der[at] == _VERSION:
            _, at = _part(der, at, _VERSION)
        begin, at = _part(der, at, _INTEGER)
        serial = int.from_bytes(der[begin:at], "big")
        _, at = _part(der, at, _SEQUENCE)
        _, at = _part(der, at, _SEQUENCE)
        at, _ = _part(der, at, _SEQUENCE)
        begins_ns, at = _time(der, at)
        ends_ns, _ = _time(der, at)
    except (IndexError, ValueError) as error:
        raise ProtocolError(f"this is no certificate in PEM: {error}") from None
    return Facts(f"{serial:x}", begins_ns, ends_ns)


def _part(der: bytes, at: int, tag: int) -> tuple[int, int]:
    """Where the content of the element at `at` begins and ends (X.690 section 8.1)."""
    if der[at] != tag:
        raise ValueError(f"an element {der[at]:#x} where {tag:#x} belongs")
    length, begin = der[at + 1], at + 2
    if length & 0x80:
        begin += length & 0x7F
        length = int.from_bytes(der[at + 2 : begin], "big")
    if begin + length > len(der):
        raise ValueError("it ends before its end")
    return begin, begin + length


def _time(der: bytes, at: int) -> tuple[int, int]:
    """A moment and where it ends. Years of two digits are 1950 to 2049 (RFC 5280 section 4.1.2.5.1)."""
    tag = der[at]
    begin, end = _part(der, at, _GENERALIZED_TIME if tag == _GENERALIZED_TIME else _UTC_TIME)
    text = der[begin:end].decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    moment = datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    return int(moment.timestamp()) * NS, end
