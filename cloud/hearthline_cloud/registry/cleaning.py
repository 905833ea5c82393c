"""One entry as somebody wrote it, made into values: trimmed, full-width digits narrowed, each field checked. Pure.

An id stands on the wire and in the time series, so it must not tell who is meant: letters other than A to Z and the
name itself are refused. A telephone number is kept as it was written, with plain digits; one whose first 0 a
spreadsheet has taken away would reach nobody, and is refused. A device's id is what its gateway says, which may be a
name that somebody gave it, with spaces: `z2m:SOS 1`.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from hearthline_cloud.alerts.notes import PORT
from hearthline_cloud.alerts.profiles import DAY_S, HOUR_S, MAX_PERIOD_S, MIN_PERIOD_S, PROFILES, kind_of
from hearthline_cloud.registry.shape import FIELDS, Field, Form, Kind, Problem, Values, problem

FIRST_YEAR = 1850
MAX_USER = 255  # what a cuff's user byte holds
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PHONE = re.compile(r"\+?[0-9()./ -]*[0-9](?: ?(?:转|ext\.?|x|#) ?[0-9]{1,6})?", re.IGNORECASE)
_LOST_ZERO = re.compile(r"(?!400|800)[2-9][0-9]{9,10}|10[0-9]{8}")  # China: area code and number
_DIGITS = range(3, 21)  # from an emergency number to E.164 with an extension
_LONGEST_NUMBER = 6  # digits; `int` of thousands of them is slow, and no field holds more
_PERIOD = re.compile(r"(\d{1,6})(min|h|d|分钟|小时|天)")
_UNITS_S = {"min": 60, "分钟": 60, "h": HOUR_S, "小时": HOUR_S, "d": DAY_S, "天": DAY_S}
_OFF = ("off", "关", "关闭")
_WORD = re.compile(r"[a-z]{3,}")
_PERSONS = (Kind.RESIDENT, Kind.VOLUNTEER)
_INVISIBLE = str.maketrans("", "", "\u200b\u200c\u200d\u2060\ufeff\u00ad\r")
_WIDE_SPACE = re.compile(r"[^\S\n]")
_CONTROL = ("Cc", "Cs")


def clean(kind: Kind, raw: Mapping[str, object], now_ns: int) -> tuple[Values, list[Problem]]:
    """The values of the fields that are given and right, and what is wrong with the others or missing.

    `raw`: text, numbers or None by field; "" and None are nothing. Fields that the kind does not have are left out.
    """
    values: Values = {}
    problems: list[Problem] = []
    for field in FIELDS[kind]:
        if field.name not in raw:
            continue
        found = _value(field, raw[field.name], now_ns)
        if isinstance(found, Problem):
            problems.append(found)
        elif found in ("", None) and field.needed:
            problems.append(problem("missing", field.name))
        else:
            values[field.name] = found
    if kind in _PERSONS and _tells_the_name(values):
        problems.append(problem("id-is-name", "id", id=values["id"]))
    return values, problems


def missing(kind: Kind, raw: Mapping[str, object]) -> list[Problem]:
    """What a new entry lacks, save what was given and is wrong."""
    return [problem("missing", field.name) for field in FIELDS[kind] if field.needed and field.name not in raw]


def supervise_problem(device: str, kind: str, period_s: int | None) -> Problem | None:
    """What is wrong with a device's own period in seconds, as 0: off, None: the kind's."""
    kind = kind or kind_of(device)
    profile = PROFILES.get(kind)
    if period_s and profile is not None and not profile.can_be:
        return problem("supervise-silent", "supervise", kind=kind)
    return None


def period_text(period_s: int | None) -> str:
    """As it is written: 12h, off, "" for the kind's own."""
    if not period_s:
        return "" if period_s is None else "off"
    unit, length = next((each for each in (("d", DAY_S), ("h", HOUR_S)) if period_s % each[1] == 0), ("min", 60))
    return f"{period_s // length}{unit}"


def _value(field: Field, raw: object, now_ns: int) -> Any:
    """What is to be stored, or the problem. A period becomes seconds."""
    text = _plain(raw)
    if "\0" in text:
        return problem("nul", field.name)
    if "\ufffd" in text:
        return problem("unreadable", field.name)
    text = text.strip()
    narrow = unicodedata.normalize("NFKC", text).strip()
    if field.form is not Form.TEXT and (field.form is not Form.DEVICE_ID or narrow.isascii()):
        text = narrow
    if len(text) > field.longest:
        return problem("too-long", field.name, longest=field.longest, found=len(text))
    if any(
        unicodedata.category(letter) in _CONTROL and not (letter in "\n" and field.longest >= 400) for letter in text
    ):
        return problem("control", field.name)
    return _READ[field.form](field, text, now_ns)


def _plain(raw: object) -> str:
    """A cell as text: 1942.0 of a spreadsheet is 1942."""
    if raw is None:
        return ""
    if isinstance(raw, float) and raw.is_integer() and abs(raw) < 1e15:
        raw = int(raw)
    return _WIDE_SPACE.sub(" ", unicodedata.normalize("NFC", str(raw)).translate(_INVISIBLE))


def _text(field: Field, text: str, now_ns: int) -> Any:
    return text


def _id(field: Field, text: str, now_ns: int) -> Any:
    if not text:
        return None
    return text if _ID.fullmatch(text) else problem("bad-id", field.name, id=text, longest=field.longest)


def _phone(field: Field, text: str, now_ns: int) -> Any:
    text = text.translate({ord("–"): "-", ord("—"): "-", ord("‐"): "-"})
    if not text:
        return ""
    if _LOST_ZERO.fullmatch(text):
        return problem("lost-zero", field.name)
    digits = sum(letter.isdigit() for letter in text)
    return text if _PHONE.fullmatch(text) and digits in _DIGITS else problem("bad-phone", field.name)


def _year(field: Field, text: str, now_ns: int) -> Any:
    if not text:
        return None
    this_year = dt.datetime.fromtimestamp(now_ns / 1e9, dt.UTC).year
    digits = text.removesuffix("年").strip()
    year = _whole(digits)
    return (
        year if FIRST_YEAR <= year <= this_year else problem("bad-year", field.name, first=FIRST_YEAR, last=this_year)
    )


def _number(field: Field, text: str, now_ns: int) -> Any:
    if not text:
        return None
    number = _whole(text)
    return number if 0 <= number <= MAX_USER else problem("bad-number", field.name, last=MAX_USER)


def _whole(digits: str) -> int:
    """-1 for what is no whole number, or one that no field could hold."""
    fits = digits.isascii() and digits.isdecimal() and len(digits.lstrip("0")) <= _LONGEST_NUMBER
    return int(digits) if fits else -1


def _device_kind(field: Field, text: str, now_ns: int) -> Any:
    if text and (text not in PROFILES or text == PORT):
        return problem("no-kind", field.name, kind=text, kinds=", ".join(kind for kind in PROFILES if kind != PORT))
    return text


def _period(field: Field, text: str, now_ns: int) -> Any:
    if not text:
        return None
    if text in _OFF:
        return 0
    match = _PERIOD.fullmatch(text)
    period_s = int(match[1]) * _UNITS_S[match[2]] if match else 0
    return period_s if MIN_PERIOD_S <= period_s <= MAX_PERIOD_S else problem("bad-period", field.name, period=text)


_READ = {
    Form.TEXT: _text,
    Form.ID: _id,
    Form.DEVICE_ID: _text,
    Form.PHONE: _phone,
    Form.YEAR: _year,
    Form.NUMBER: _number,
    Form.DEVICE_KIND: _device_kind,
    Form.PERIOD: _period,
}


def _tells_the_name(values: Values) -> bool:
    """Whether a word of the name, in Latin letters, stands in the id. An id has no other letters."""
    own = re.sub(r"[^a-z]", "", str(values.get("id") or "").casefold())
    words = _WORD.findall(str(values.get("name") or "").casefold())
    return any(word in own for word in words)
