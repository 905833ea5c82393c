"""JSON payloads of strangers: an object with exact decimal numbers, or nothing. Never raises.

What firmware is known to break is mended, for a press must not be lost by the field beside it: letters that are no
UTF-8 or half an emoji become U+FFFD, `nan` and `inf` become null, control characters and a C string's last NUL blanks.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

_LARGEST: Final = Decimal(10) ** 15  # no quantity of a home comes near
_NOT_A_NUMBER: Final = Decimal("NaN")
_CONTROL: Final = re.compile(r"[\x00-\x1f\ufeff]")
_NO_NUMBER: Final = re.compile(r"(?<=[:,\[])\s*[-+]?(?:nan|inf|infinity)\s*(?=[,}\]])", re.IGNORECASE)
_HALF_LETTER: Final = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_MENDED_LIMIT: Final = 65536  # no device says more; what is cut is no JSON
RAW_LIMIT: Final = 2048  # characters of a payload that are kept for the operator


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return _NOT_A_NUMBER


_DECODER: Final = msgspec.json.Decoder(float_hook=_decimal)


def json_value(payload: bytes) -> tuple[bool, Any]:
    """(whether it is JSON, the value), with fractions as `Decimal`."""
    for mend in (False, True):
        try:
            return True, _DECODER.decode(_mended(payload) if mend else payload)
        except (msgspec.DecodeError, ValueError, RecursionError):
            continue
    return False, None


def _mended(payload: bytes) -> bytes:
    text = _CONTROL.sub(" ", payload[:_MENDED_LIMIT].decode("utf-8", "replace"))
    return _HALF_LETTER.sub("\ufffd", _NO_NUMBER.sub("null", text)).encode()


def number(value: Any) -> Decimal | None:
    """A finite number of a plausible size as it was written, also from a string such as `"100.00"`; else None."""
    if isinstance(value, str):
        value = _decimal(value) if len(value) <= 32 else None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    exact = Decimal(value)
    return exact if exact.is_finite() and exact.copy_abs() < _LARGEST else None  # abs() may overflow


def raw_text(payload: bytes) -> str:
    """What the operator sees of a payload."""
    return payload[:RAW_LIMIT].decode("utf-8", "replace")
