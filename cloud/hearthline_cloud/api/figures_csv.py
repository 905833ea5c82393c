"""A table of figures as CSV for spreadsheets: UTF-8 with a mark so that Excel shows Chinese, numbers as numbers.

A name that begins like a formula gets an apostrophe: a spreadsheet would run it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from hearthline_cloud.alerts.figures import HELPED, Line, Share, Times
from hearthline_cloud.api.figures_reads import Report

MARK = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # Excel takes the wide ones, too
_FACTS = ("of", "missing", "median_s", "p90_s")
_SHARES = ("count", "of", "percent")


def to_csv(report: Report) -> str:
    """One line a group and the total last. The columns are those of the JSON answer; they keep their names."""
    out = io.StringIO()
    writer = csv.writer(out)
    names, values = zip(*_cells(report.total), strict=True)
    writer.writerow(["key", "name", *names])
    for group in report.groups:
        writer.writerow([guarded(group.key), guarded(group.name), *(value for _, value in _cells(group.line))])
    writer.writerow(["total", "", *values])
    return MARK + out.getvalue()


def guarded(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cells(line: Line) -> Iterator[tuple[str, object]]:
    yield "cases", line.cases
    yield from _times("answer", line.answer)
    yield from _times("arrival", line.arrival)
    yield "called_off", line.called_off
    yield "closed", line.closed
    yield from _share("false_alarm", line.false_alarm)
    yield "handed_over", line.handed_over
    yield "reopened", line.reopened
    yield "asked", line.asked
    yield from _share("replied", line.replied)
    yield from ((f"helped_{word}", line.helped[word]) for word in HELPED)
    yield from _share("was_helped", line.was_helped)


def _times(name: str, times: Times) -> Iterator[tuple[str, object]]:
    for fact in _FACTS:
        yield f"{name}_{fact}", _number(getattr(times, fact))
    for limit, share in times.within.items():
        yield from _share(f"{name}_within_{limit}_s", share)


def _share(name: str, share: Share) -> Iterator[tuple[str, object]]:
    for fact in _SHARES:
        yield f"{name}_{fact}", _number(getattr(share, fact))


def _number(value: float | None) -> object:
    return "" if value is None else round(value, 3)
