"""CSV and XLSX into entries. One table holds one kind; its first row says what each column is, in Chinese or English.

A row is numbered as a spreadsheet shows it. What is wrong with a whole table is told once, at its heading.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from hearthline_cloud.registry.checking import Entry, Found, Place
from hearthline_cloud.registry.encodings import GARBLED_SHARE, decode, garbled, is_garbled
from hearthline_cloud.registry.shape import FIELDS, REGISTERED, Field, Kind, Problem, key_fields, problem
from hearthline_cloud.registry.workbook import BadWorkbookError, is_old_workbook, is_workbook, read_sheets

MAX_ROWS = 200_000
_MAX_CELL = 4000  # characters; a field takes 2,000 at most
_DELIMITERS = (",", "\t", ";", "，")
_DECORATION = re.compile(r"[\s*＊_\-]|[（(].*?[)）]")
_WORDS: dict[Kind, tuple[str, ...]] = {
    Kind.COMMUNITY: ("community", "communities", "社区"),
    Kind.HOME: ("home", "homes", "住家", "家庭", "房屋"),
    Kind.RESIDENT: ("resident", "residents", "住户", "老人", "居民"),
    Kind.CONTACT: ("contact", "contacts", "联系人"),
    Kind.GATEWAY: ("gateway", "gateways", "网关"),
    Kind.DEVICE: ("device", "devices", "设备"),
    Kind.VOLUNTEER: ("volunteer", "volunteers", "志愿者"),
    Kind.STAFF: ("staff", "accounts", "账号"),
}
IGNORED_SHEETS = ("notes", "说明")
_NOTHING = Kind.COMMUNITY  # of a table whose kind is not known


@dataclass(slots=True)
class Read:
    """Entries in the order of the files, and what is wrong with whole tables."""

    entries: list[Entry] = field(default_factory=list)
    problems: list[Found] = field(default_factory=list)
    tables: dict[tuple[str, str], None] = field(default_factory=dict)  # file and sheet, in their order

    def begin(self, file: str, sheet: str) -> None:
        self.tables[file, sheet] = None

    def tell(self, place: Place, wrong: Problem) -> None:
        self.begin(place.file, place.sheet)
        self.problems.append(Found(Entry(_NOTHING, {}, place), wrong))


def read_table(
    data: bytes, name: str, kind: Kind | None, read: Read, most: int = MAX_ROWS, most_bytes: int = 0
) -> None:
    """Add what a file holds to `read`. `kind`: what it holds, where its name or its sheets' names do not say.

    `most_bytes`: of a workbook when it is unpacked; 0: as many as a file of a city may have.
    """
    whole = Place(name, "", 0)
    if is_old_workbook(data):
        read.tell(whole, problem("old-workbook"))
    elif is_workbook(data):
        _read_workbook(data, name, kind, read, most, most_bytes)
    else:
        text = decode(data)
        chosen = kind or kind_called(PurePath(name).stem)
        if isinstance(text, Problem):
            read.tell(whole, text)
        elif chosen is None:
            read.tell(whole, problem("which-kind", kinds=", ".join(f"{each}.csv" for each in REGISTERED)))
        else:
            _Table(chosen, name, "", read, most).take(_csv_rows(text, chosen))


def kind_called(word: str) -> Kind | None:
    """By a file's or a sheet's name: home.csv, 住家, homes-2026."""
    plain = unicodedata.normalize("NFKC", word).casefold()
    parts = re.split(r"[^a-z\u4e00-\u9fff]+", plain)
    found = [kind for kind, words in _WORDS.items() if any(each in words for each in parts)]
    return found[0] if len(found) == 1 else None


def _read_workbook(data: bytes, name: str, kind: Kind | None, read: Read, most: int, most_bytes: int) -> None:
    found = 0
    try:
        for title, rows in read_sheets(data, most_bytes):
            named = kind_called(title)
            chosen = named or kind
            if title.casefold() in IGNORED_SHEETS:
                continue
            if chosen is None:
                if any(any(row) for row in rows):  # an empty sheet says nothing
                    read.tell(Place(name, title, 0), problem("which-sheet", kinds=", ".join(REGISTERED)))
                continue
            found += _Table(chosen, name, title, read, most).take(rows, may_be_empty=named is None)
    except BadWorkbookError as error:
        read.tell(Place(name, "", 0), error.problem)
        return
    if not found and not read.problems:
        read.tell(Place(name, "", 0), problem("empty"))


def _csv_rows(text: str, kind: Kind) -> Iterator[list[str]]:
    """Its delimiter is the one by which the most headings are understood."""
    head = text.lstrip("\ufeff\r\n").split("\n", 1)[0]
    known = _columns(kind)
    by_each = {sign: sum(_plain(part.strip('"')) in known for part in head.split(sign)) for sign in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda sign: by_each[sign])
    # strict: a quotation mark that nobody closed would swallow the rows below it
    yield from csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), delimiter=best, strict=True)


def _columns(kind: Kind) -> dict[str, Field]:
    return {_plain(word): each for each in FIELDS[kind] for word in (each.name, each.heading, *each.also)}


def _plain(heading: str) -> str:
    return _DECORATION.sub("", unicodedata.normalize("NFKC", heading)).casefold()


class _Table:
    def __init__(self, kind: Kind, file: str, sheet: str, read: Read, most: int) -> None:
        read.begin(file, sheet)
        self._kind = kind
        self._read = read
        self._most = most
        self._garbled = 0  # cells
        self._headings: dict[str, str] = {}  # field -> as it stands there
        self._head = Place(file, sheet, 1, self._headings)

    def take(self, rows: Iterable[Sequence[str]], *, may_be_empty: bool = False) -> bool:
        """Add its entries; a table that is garbled or has no headings adds none. Whether there was anything in it.

        `may_be_empty`: a sheet that a spreadsheet made by itself.
        """
        numbered = ((number, row) for number, row in enumerate(rows, 1) if any(cell.strip() for cell in row))
        try:
            number, head = next(numbered, (0, []))
            body = list(self._bounded(numbered))
        except csv.Error as error:
            self._tell(problem("bad-csv", error=error))
            return True
        if not head:
            if not may_be_empty:
                self._tell(problem("empty"))
            return not may_be_empty
        self._head = Place(self._head.file, self._head.sheet, number, self._headings)
        self._garbled, of = garbled(cell for row in (head, *(row for _, row in body)) for cell in row)
        if self._garbled and self._garbled >= of * GARBLED_SHARE:
            self._tell(problem("garbled"))
            return True
        fields = self._fields(head)
        if fields is not None:
            for number, row in body:
                self._add(number, fields, row)
        return True

    def _tell(self, wrong: Problem, row: int = 0) -> None:
        place = self._head if not row else Place(self._head.file, self._head.sheet, row, self._headings)
        self._read.tell(place, wrong)

    def _bounded(self, numbered: Iterator[tuple[int, Sequence[str]]]) -> Iterator[tuple[int, Sequence[str]]]:
        left = self._most - len(self._read.entries)
        for number, row in numbered:
            if left <= 0:
                self._tell(problem("too-many-rows", most=self._most))
                return
            left -= 1
            yield number, row

    def _fields(self, head: Sequence[str]) -> list[Field | None] | None:
        """What each column is; None where the table cannot be read at all."""
        known, fields = _columns(self._kind), list[Field | None]()
        for heading in head:
            found = known.get(_plain(heading))
            if found is None and heading.strip():
                self._tell(problem("which-column", column=heading.strip()[:40], known=_said(self._kind)))
            elif found is not None and found.name in self._headings:
                self._tell(problem("column-twice", column=heading.strip()[:40]))
            elif found is not None:
                self._headings[found.name] = heading.strip()
            fields.append(found)
        lacking = [each for each in FIELDS[self._kind] if each.name in key_fields(self._kind)]
        lacking = [each for each in lacking if each.name not in self._headings]
        for each in lacking:
            self._tell(problem("no-column", each.name, column=f"{each.heading} ({each.name})"))
        return None if lacking else fields

    def _add(self, number: int, fields: list[Field | None], row: Sequence[str]) -> None:
        raw: dict[str, object] = {}
        for place, cell in enumerate(row):
            given = fields[place] if place < len(fields) else None
            if not cell.strip():
                continue
            if place >= len(fields):
                self._tell(problem("extra-cells", cells=len(row), columns=len(fields)), number)
                break
            if given is not None:
                raw[given.name] = cell[:_MAX_CELL]
                if self._garbled and is_garbled(cell) and "\ufffd" not in cell:
                    self._tell(Problem("garbled-cell", given.name), number)
        place_of_row = Place(self._head.file, self._head.sheet, number, self._headings)
        self._read.entries.append(Entry(self._kind, raw, place_of_row))


def _said(kind: Kind) -> str:
    return ", ".join(f"{each.heading}/{each.name}" for each in FIELDS[kind])
