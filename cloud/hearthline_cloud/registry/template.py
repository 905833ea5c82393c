"""Empty tables to fill in: a workbook with a sheet for each kind, or a CSV of one, with headings in one language."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from hearthline.speech import Language
from hearthline_cloud.registry.shape import FIELDS, Kind
from hearthline_cloud.registry.texts import TEXTS
from hearthline_cloud.registry.workbook import make_workbook


def headings(kind: Kind, language: Language) -> list[str]:
    """A needed one is marked by a star."""
    return [(each.heading if language == "zh" else each.name) + ("*" if each.needed else "") for each in FIELDS[kind]]


def csv_template(kind: Kind, language: Language) -> bytes:
    """With UTF-8's mark, by which spreadsheets know it."""
    into = io.StringIO(newline="")
    csv.writer(into).writerow(headings(kind, language))
    return into.getvalue().encode("utf-8-sig")


def workbook_template(kinds: Sequence[Kind], language: Language, notes: tuple[str, list[str]]) -> bytes:
    """`notes`: the title of the sheet that explains, and its lines."""
    place = 0 if language == "zh" else 1
    return make_workbook({TEXTS[f"kind.{kind}"][place]: headings(kind, language) for kind in kinds}, notes)
