"""JSON payloads of strangers: an object with exact decimal numbers, or nothing. Never raises."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

_LARGEST: Final = Decimal(10) ** 15  # no quantity of a home comes near
_NOT_A_NUMBER: Final = Decimal("NaN")
RAW_LIMIT: Final = 2048  # characters of a payload that are kept for the operator


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        return _NOT_A_NUMBER


_DECODER: Final = msgspec.json.Decoder(float_hook=_decimal)


def json_value(payload: bytes) -> tuple[bool, Any]:
    """(whether it is JSON, the value), with fractions as `Decimal`."""
    try:
        return True, _DECODER.decode(payload)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False, None


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
