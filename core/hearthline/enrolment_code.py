"""The one-time code of an enrolment, as it is printed, scanned and typed. Pure.

    7K3M-Q2XA-....-....-....     six characters name the offer, thirteen are the secret (65 bits), one is the check
    hearthline-enrol:https://center.example.org#7K3M-Q2XA-....-....-....     what a label's QR code holds

Base32 in Crockford's alphabet, without I, L, O and U; what is typed as I, L or O is taken for 1, 1 and 0. The check is
a code over GF(32): it finds every single wrong character and every two that changed places.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hearthline.errors import ConfigError

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
SCHEME: Final = "hearthline-enrol:"
OFFER, SECRET = 6, 13
LENGTH: Final = OFFER + SECRET + 1
_GROUP = 4
_LONGEST = 512
_POLYNOMIAL: Final = 0b100101  # x^5 + x^2 + 1, primitive: twenty characters have twenty different weights
_SAME: Final = str.maketrans("OIL", "011")
_BETWEEN: Final = frozenset(" -_.\t\u2010\u2011\u2012\u2013\u2014\u2212")


class Wrong(StrEnum):
    """Why a text is no code."""

    EMPTY = "empty"
    FOREIGN = "foreign"  # a label of something else
    LENGTH = "length"
    CHECK = "check"  # mistyped


class WrongCodeError(ConfigError):
    """`wrong`: why; `length`: of what was typed, in characters of a code."""

    def __init__(self, wrong: Wrong, length: int = 0) -> None:
        super().__init__(_WORDS[wrong].format(length=length))
        self.wrong = wrong
        self.length = length


_WORDS: Final = {
    Wrong.EMPTY: "there is no code",
    Wrong.FOREIGN: "this is no code of an enrolment, but something else's label",
    Wrong.LENGTH: f"a code has {LENGTH} characters, this has {{length}}",
    Wrong.CHECK: "a character of the code is mistyped",
}


@dataclass(frozen=True, slots=True)
class Code:
    """`offer` may be known to everybody; `secret` never travels."""

    offer: str
    secret: str

    @property
    def text(self) -> str:
        """In groups, with its check."""
        plain = self.offer + self.secret
        plain += _check(plain)
        return "-".join(plain[at : at + _GROUP] for at in range(0, len(plain), _GROUP))

    def __repr__(self) -> str:
        return f"Code({self.offer}-…)"  # a traceback tells nobody the secret


@dataclass(frozen=True, slots=True)
class Label:
    """What was scanned or typed. `center`: where to send it; "": not said."""

    center: str
    code: Code


def new_code(choose: Callable[[str], str]) -> Code:
    """`choose`: one of these characters, unpredictably, e.g. `secrets.choice`."""
    made = "".join(choose(ALPHABET) for _ in range(OFFER + SECRET))
    return Code(made[:OFFER], made[OFFER:])


def label_text(center: str, code: Code) -> str:
    """For the QR code; `center` may be empty."""
    return f"{SCHEME}{center}#{code.text}"


def read_label(text: str) -> Label:
    """A scanned label or a typed code, in whatever case and with whatever between. Raises WrongCodeError."""
    if len(text) > _LONGEST:
        raise WrongCodeError(Wrong.FOREIGN)
    text = unicodedata.normalize("NFKC", text).strip()  # full-width letters of a Chinese keyboard
    center = ""
    if text[: len(SCHEME)].lower() == SCHEME:
        center, _, text = text[len(SCHEME) :].rpartition("#")
    typed = "".join(each for each in text if each not in _BETWEEN).upper().translate(_SAME)
    if not typed:
        raise WrongCodeError(Wrong.EMPTY)
    if not set(typed) <= set(ALPHABET):
        raise WrongCodeError(Wrong.FOREIGN)
    if len(typed) != LENGTH:
        raise WrongCodeError(Wrong.LENGTH, len(typed))
    if _check(typed[:-1]) != typed[-1]:
        raise WrongCodeError(Wrong.CHECK, len(typed))
    return Label(center, Code(typed[:OFFER], typed[OFFER:-1]))


def _check(characters: str) -> str:
    """The character that makes the word a multiple of x - a, with a a generator of GF(32)*: Horner, from the left."""
    value = 0
    for each in characters:
        value = _times_a(value) ^ ALPHABET.index(each)
    return ALPHABET[_times_a(value)]


def _times_a(value: int) -> int:
    doubled = value << 1
    return doubled ^ _POLYNOMIAL if doubled >= len(ALPHABET) else doubled
