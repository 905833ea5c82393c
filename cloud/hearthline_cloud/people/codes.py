"""One-time passwords by time, and recovery codes. Pure.

RFC 6238 as every authenticator app has it: HMAC-SHA-1, six digits, a step of 30 s. The app's clock may be off by one
step. A code is good once: whoever looked over a shoulder, or over a wire, is too late.

A recovery code has 16 characters of 31, 79 bits: nobody guesses it, so a plain hash keeps it.
"""

from __future__ import annotations

import hashlib
import secrets

import pyotp
import segno
from pyotp.exceptions import OTPVerificationError

from hearthline.clock import NS

STEP_S = 30
DRIFT = 1  # steps that a clock may be off
RECOVERY_CODES = 10
MAX_CODE = 64  # of what somebody types, with its blanks
_AHEAD = 300 // STEP_S  # a code used later than that from now was used under a wrong clock
_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # none that is read as another
_RECOVERY_LENGTH, _GROUP = 16, 4


def new_secret() -> str:
    """160 random bits in base32, as RFC 4226 recommends."""
    return pyotp.random_base32()


def fresh_step(secret: str, code: str, used: int, now_ns: int) -> int | None:
    """The time step that `code` is of, when that may be used now; `used` is the last step that was.

    No step that is not later than `used` may, unless `used` lies so far ahead that only a wrong clock can have written
    it: a center whose clock was set back lets its people in.
    """
    code = "".join(code.split())
    if len(code) != 6 or not code.isascii() or not code.isdecimal():
        return None
    try:
        step = pyotp.TOTP(secret).verify_and_get_timecode(code, for_time=now_ns // NS, valid_window=DRIFT)
    except OTPVerificationError:
        return None
    return step if step > used or used > now_ns // NS // STEP_S + _AHEAD else None


def provisioning_uri(secret: str, name: str) -> str:
    """`otpauth://totp/…`: what an app reads from the picture."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name="Hearthline")


def picture(uri: str) -> str:
    """A QR code as an SVG element of dark paths on a light ground, without any style of its own."""
    return segno.make(uri, error="m", micro=False).svg_inline(
        scale=5, border=4, light="#fff", dark="#000", omitsize=True, svgclass="qr", lineclass=None
    )


def in_groups(secret: str) -> str:
    """For people who type it."""
    return " ".join(secret[at : at + _GROUP] for at in range(0, len(secret), _GROUP))


def new_recovery_codes() -> list[str]:
    return [
        "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_RECOVERY_LENGTH // _GROUP))
        for _ in range(RECOVERY_CODES)
    ]


def recovery_code(typed: str) -> str | None:
    """What was typed as a recovery code, without blanks, hyphens and capitals; None when it has not the form of one."""
    code = "".join(typed.split()).replace("-", "").lower()
    return code if len(code) == _RECOVERY_LENGTH and set(code) <= set(_LETTERS) else None


def hash_recovery_code(name: str, code: str) -> str:
    return hashlib.sha256(f"{name}\n{code.replace('-', '')}".encode()).hexdigest()
