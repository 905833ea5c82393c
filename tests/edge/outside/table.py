"""What was compared with the recordings kept outside the repository: a row a file, printed a line a driver.

A value that is known of a recording is one of three: it agreed, it is left out (known, and nothing that a driver
gives: the reason is told), or it differs on purpose (the driver says otherwise, and the reason is told). Anything else
fails the comparison, and its row says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Row:
    """One recording. `frames`: frames, telegrams, messages or lines in it; `agreed`: values found as they are known.

    `file`: folder/name. `wrong`: why its comparison failed.
    """

    driver: str
    file: str
    frames: int = 0
    agreed: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    differing: Counter[str] = field(default_factory=Counter)
    wrong: str = ""

    def same(self, found: Any, known: Any, what: str = "") -> None:
        """Exactly this was found. Counts each value of `known`."""
        assert found == known, f"{what}\nfound {found!r}\nknown {known!r}"
        self.agreed += _leaves(known)

    def leave_out(self, why: str, values: int = 1) -> None:
        self.left_out[why] += values

    def differ(self, why: str, values: int = 1) -> None:
        self.differing[why] += values


rows: dict[str, Row] = {}


def lines() -> list[str]:
    """The table and, below it, why values were left out or differ."""
    form = "{:18} {:>5} {:>6} {:>6} {:>6} {:>8} {:>9} {:>5}"
    heads = ("driver", "files", "frames", "values", "agreed", "left out", "differing", "wrong")
    table, reasons, total = [form.format(*heads)], list[str](), [0] * 7
    for driver in sorted({one.driver for one in rows.values()}):
        figures, why = _driver(driver)
        total = [sum(pair) for pair in zip(total, figures, strict=True)]
        table.append(form.format(driver, *figures))
        reasons += why
    return [*table, form.format("all", *total), *reasons]


def _driver(driver: str) -> tuple[list[int], list[str]]:
    mine = [one for one in rows.values() if one.driver == driver]
    left_out = sum((one.left_out for one in mine), Counter[str]())
    differing = sum((one.differing for one in mine), Counter[str]())
    agreed, aside, differ = sum(one.agreed for one in mine), left_out.total(), differing.total()
    wrong = [one for one in mine if one.wrong]
    frames = sum(one.frames for one in mine)
    figures = [len(mine), frames, agreed + aside + differ, agreed, aside, differ, len(wrong)]
    reasons = [f"{driver}: {count} left out: {why}" for why, count in left_out.most_common()]
    reasons += [f"{driver}: {count} differing: {why}" for why, count in differing.most_common()]
    return figures, [*reasons, *(f"{driver}: WRONG {one.file}: {one.wrong}" for one in wrong)]


def _leaves(value: Any) -> int:
    """How many values a tree holds."""
    if isinstance(value, dict):
        return sum(map(_leaves, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return sum(map(_leaves, value))
    return 1
