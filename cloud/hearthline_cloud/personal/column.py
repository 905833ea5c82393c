"""The type of a personal column: opened by itself when it is read, refused unless it was sealed when it is written.

A query asks for `data key | value | row` in the place of the value, so that the row that a value stands in is what it
is opened for. It can be neither compared nor sorted by in SQL: open it, and do that in memory.
"""

from __future__ import annotations

import json
from typing import Any, Literal
from weakref import WeakKeyDictionary

from sqlalchemy import ColumnElement, Engine, Label, Text, cast, func, literal, select, type_coerce
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import operators
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator

from hearthline.errors import ConfigError
from hearthline.log import Log
from hearthline_cloud.personal.keys import Keyring, Sealed, UnreadableError

UNREADABLE = "[unreadable]"  # what is shown for a value that does not open; `erased` where its key was destroyed
ERASED = "[erased]"
Shape = Literal["text", "json"]
_TOLD_AT_MOST = 1000
_keyrings: WeakKeyDictionary[Dialect, Keyring] = WeakKeyDictionary()
_told: set[tuple[str, str]] = set()
log = Log(__name__)


def bind(engine: Engine, keyring: Keyring) -> None:
    """What this engine's personal columns are opened and sealed with."""
    _keyrings[engine.dialect] = keyring


def keyring_of(dialect: Dialect) -> Keyring:
    """Raises ConfigError where the database was opened without one."""
    keyring = _keyrings.get(dialect)
    if keyring is None:
        raise ConfigError("personal_key_file: this needs the key of the personal data, and none was given")
    return keyring


class Personal(TypeDecorator[Any]):
    """Text, or anything that JSON holds, sealed under the key of `<subject>:<the row's column of>`.

    `subject` empty: the row's column `of` names the whole subject.
    """

    impl = Text
    cache_ok = True

    class comparator_factory(TypeDecorator.Comparator):  # type: ignore[type-arg]  # noqa: N801
        def operate(self, op: OperatorType, *other: Any, **how: Any) -> Any:
            if op in (operators.eq, operators.ne) and other == ("",):
                return op(type_coerce(self.expr, Text), "")  # nothing is stored as nothing
            raise TypeError("a sealed value can be neither compared nor sorted by in SQL; open it first")

        def reverse_operate(self, op: OperatorType, other: Any, **how: Any) -> Any:
            raise TypeError("a sealed value can be neither compared nor sorted by in SQL; open it first")

    def __init__(self, subject: str, of: str = "id", shape: Shape = "text") -> None:
        super().__init__()
        self.subject = subject
        self.of = of
        self.shape = shape

    def subject_of(self, values: dict[str, Any]) -> str:
        """Whose key seals a value of a row with these values."""
        return f"{self.subject}:{values[self.of]}" if self.subject else str(values[self.of])

    def as_text(self, value: Any) -> str:
        return str(value) if self.shape == "text" else json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        from hearthline_cloud.schema import personal_key  # the schema is made of this type

        bare: Any = column.element if isinstance(column, Label) else column
        table = bare.table
        whose: ColumnElement[str] = cast(table.c[self.of], Text)
        if self.subject:
            whose = literal(f"{self.subject}:", Text).concat(whose)
        wrapped = select(personal_key.c.sealed).where(personal_key.c.subject == whose)
        found = func.coalesce(wrapped.correlate(table).scalar_subquery(), "")
        value = type_coerce(bare, Text)
        place = literal(f"|{_place(bare)}", Text).concat(cast(table.c.id, Text))
        return type_coerce(found.concat("|").concat(value).concat(place), self)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        self.check_sealed(value)
        return value

    @staticmethod
    def check_sealed(value: Any) -> None:
        """Raises TypeError for what may not be stored."""
        if not (value is None or value == "" or isinstance(value, Sealed)):
            raise TypeError("a personal column takes sealed values only: personal.vault.sealed()")

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        wrapped, sealed, place = value.split("|", 2)
        if not sealed:
            return ""
        text = opened(keyring_of(dialect), wrapped, sealed, place)
        if self.shape == "text":
            return text
        return None if text in (UNREADABLE, ERASED) else json.loads(text)


def _place(column: Any) -> str:
    """Table and column; an alias is its table."""
    table = column.table
    return f"{getattr(table, 'element', table).name}|{column.name}|"


def place_of(table: str, column: str, row: object) -> str:
    """What a value is sealed for."""
    return f"{table}|{column}|{row}"


def opened(keyring: Keyring, wrapped: str, sealed: str, place: str) -> str:
    """The text; `ERASED` where its key is gone, `UNREADABLE` where it does not open: told once, raised never."""
    try:
        key = keyring.data_key(wrapped) if wrapped else None
        if key is None or not sealed.startswith(f"{key.id}."):
            return ERASED
        return key.open(sealed, place)
    except UnreadableError as error:
        if (place, str(error)) not in _told and len(_told) < _TOLD_AT_MOST:
            _told.add((place, str(error)))
            log.error("a personal value cannot be opened", place=place, error=str(error))
        return UNREADABLE
