"""The problems of an import as people and machines read them: where, which column, what, in one line each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hearthline_cloud.registry.checking import Entry, Found, Place, Plan
from hearthline_cloud.registry.shape import Kind, field_of, problem
from hearthline_cloud.registry.tables import Read
from hearthline_cloud.registry.texts import SPEECH, in_both, in_words


def all_problems(read: Read, plan: Plan) -> list[Found]:
    """In the order of tables and rows; a needed column that a table lacks is told once, not in each row."""
    found = [*read.problems, *_each_column_once(plan.problems)]
    order = {table: place for place, table in enumerate(read.tables)}
    return sorted(found, key=lambda each: (order[each.entry.where.file, each.entry.where.sheet], each.entry.where.row))


def in_line(found: Found) -> str:
    """In the terminal's language: `homes.csv:7, 地址 (address): …`."""
    place = [str(found.entry.where)] if found.entry.where.file else []
    name = column(found)
    if name and name != found.problem.field:
        name = SPEECH.say("column", heading=name, field=found.problem.field)
    where = SPEECH.say("between").join([*place, *([name] if name else [])])
    return SPEECH.say("line", where=where, text=in_words(found.problem))


def as_row(found: Found) -> dict[str, Any]:
    """For machines: both languages, the row as a spreadsheet numbers it (None: the whole file or sheet)."""
    where, (zh, en) = found.entry.where, in_both(found.problem)
    return {
        "file": where.file,
        "sheet": where.sheet,
        "row": where.row or None,
        "column": column(found),
        "field": found.problem.field,
        "code": found.problem.code,
        "message": en,
        "message_zh": zh,
    }


def column(found: Found) -> str:
    """As it is headed in the file; the field's name where there is no file."""
    return found.entry.where.headings.get(found.problem.field, found.problem.field)


def _each_column_once(problems: list[Found]) -> Iterator[Found]:
    told: set[tuple[str, str, Kind, str]] = set()
    for found in problems:
        where, name = found.entry.where, found.problem.field
        if found.problem.code != "missing" or not where.headings or name in where.headings:
            yield found
            continue
        mark = (where.file, where.sheet, found.entry.kind, name)
        if mark not in told:
            told.add(mark)
            lacking = field_of(found.entry.kind, name)
            wrong = problem("no-column", name, column=f"{lacking.heading} ({name})")
            yield Found(Entry(found.entry.kind, {}, Place(where.file, where.sheet, 0)), wrong)
