"""XLSX: the sheets of a workbook as rows of text, and an empty workbook to fill in. Nothing in it is run.

A workbook is a zip of XML from anybody: what unpacks to more than a city's registry, or declares a document type (the
way to entities without end), is refused before it is parsed.
"""

from __future__ import annotations

import io
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError, ParserCreate

from openpyxl import Workbook, load_workbook
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter
from openpyxl.utils.exceptions import InvalidFileException

from hearthline_cloud.registry.shape import Problem, problem

MAX_UNPACKED = 400 * 1024 * 1024
_MAX_COLUMNS = 60
_BLANK_ROWS = 1000  # after so many the sheet is over, however long it says it is
_CHUNK = 65_536
_TEXT_ROWS = 2000  # of a template: cells that keep leading zeros
_WRONG = (
    InvalidFileException, zipfile.BadZipFile, ParseError, ExpatError, KeyError, ValueError, TypeError, AttributeError,
    IndexError, EOFError, NotImplementedError, RuntimeError, zlib.error,
)  # fmt: skip


class BadWorkbookError(Exception):
    def __init__(self, wrong: Problem) -> None:
        self.problem = wrong
        super().__init__(wrong.code)


def is_workbook(data: bytes) -> bool:
    return data.startswith(b"PK\x03\x04")


def is_old_workbook(data: bytes) -> bool:
    """XLS, and a workbook with a password."""
    return data.startswith(b"\xd0\xcf\x11\xe0")


def read_sheets(data: bytes, most_bytes: int = 0) -> Iterator[tuple[str, Iterator[list[str]]]]:
    """Each sheet's name and rows, one after the other. Raises BadWorkbookError, also while rows are read."""
    with _told_as_bad():
        _look(data, most_bytes or MAX_UNPACKED)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what we do not read: styles, validations
            book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    try:
        for sheet in book.worksheets:
            sheet.reset_dimensions()
            yield sheet.title, _rows(sheet)
    finally:
        book.close()


@contextmanager
def _told_as_bad() -> Iterator[None]:
    try:
        yield
    except _WRONG as error:
        raise BadWorkbookError(problem("bad-workbook")) from error


def make_workbook(sheets: dict[str, list[str]], notes: tuple[str, list[str]]) -> bytes:
    """A workbook with these headings, and a sheet that explains. All cells are text: a number keeps its zeros."""
    book = Workbook()
    book.remove(book.worksheets[0])
    for title, headings in sheets.items():
        sheet = book.create_sheet(title)
        sheet.append(headings)
        sheet.freeze_panes = "A2"
        for place, heading in enumerate(headings, 1):
            sheet.cell(1, place).font = Font(bold=True)
            letter = get_column_letter(place)
            sheet.column_dimensions[letter].width = max(14, 2 * len(heading))
            sheet.column_dimensions[letter].number_format = "@"
    explained = book.create_sheet(notes[0])
    explained.column_dimensions["A"].width = 110
    for line in notes[1]:
        explained.append([line])
    into = io.BytesIO()
    book.save(into)
    return into.getvalue()


def _look(data: bytes, most_bytes: int) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        parts = packed.infolist()
        if sum(part.file_size for part in parts) > most_bytes:
            raise BadWorkbookError(problem("too-large", most=f"{most_bytes // 2**20} MiB"))
        for part in parts:
            if part.filename.endswith((".xml", ".rels")):
                with packed.open(part) as opened:
                    _refuse_doctype(opened)


def _refuse_doctype(opened: Any) -> None:
    """Read as far as the first element: a document type stands before it."""
    parser, seen = ParserCreate(), list[str]()
    parser.StartDoctypeDeclHandler = lambda *_: seen.append("doctype")
    parser.StartElementHandler = lambda *_: seen.append("element")
    while not seen and (chunk := opened.read(_CHUNK)):
        parser.Parse(chunk, False)
    if "doctype" in seen:
        raise BadWorkbookError(problem("bad-workbook"))


def _rows(sheet: Any) -> Iterator[list[str]]:
    blank, rows = 0, iter(sheet.iter_rows(values_only=True, max_col=_MAX_COLUMNS))
    while True:
        with _told_as_bad():
            row = next(rows, None)
        if row is None:
            return
        cells = [_text(value) for value in row]
        blank = 0 if any(cells) else blank + 1
        if blank > _BLANK_ROWS:
            return
        yield cells


def _text(value: object) -> str:
    """1942.0 is 1942; a date is its day."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return value.isoformat()[:10] if isinstance(value, date) else str(value)
