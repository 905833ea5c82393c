"""A parsed tree into `msgspec` structures, key by key, so that every problem is found and not the first alone."""

from __future__ import annotations

import re
import types
import typing
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from hearthline_cloud.policy_lines import KeyPath
from hearthline_cloud.policy_problems import Wrong

S = TypeVar("S", bound=msgspec.Struct)
_PLACE = re.compile(r" - at `\$(?:\[(\d+)\])?[^`]*`")


@dataclass(slots=True)
class Faults:
    """What was found wrong so far: the path of the key, what it is, and the facts that fill its words."""

    found: list[tuple[KeyPath, Wrong, dict[str, str]]] = field(default_factory=list)

    def add(self, path: KeyPath, wrong: Wrong, **facts: object) -> None:
        self.found.append((path, wrong, {name: str(fact) for name, fact in facts.items()}))


class _Bad:
    """Stands where a value should be that is none."""


_BAD = _Bad()


def read_struct(shape: type[S], tree: object, path: KeyPath, faults: Faults) -> S | None:
    """`tree` as a `shape`; None where it is none. A wrong entry of a table of tables is left out and no more.

    `faults` gets whatever is wrong; where it grew, the result is good for finding more of it and for nothing else.
    """
    if not isinstance(tree, dict):
        faults.add(path, Wrong.NO_TABLE)
        return None
    fields = {each.encode_name: each for each in msgspec.structs.fields(shape)}
    for key in tree:
        if key not in fields:
            faults.add((*path, key), Wrong.UNKNOWN_KEY, known=", ".join(fields))
    missing = [name for name, each in fields.items() if each.required and name not in tree]
    for name in missing:
        faults.add(path, Wrong.MISSING_KEY, name=name)
    values = {
        each.name: _value(each.type, tree[name], (*path, name), faults) for name, each in fields.items() if name in tree
    }
    return None if missing or _BAD in values.values() else shape(**values)


def _value(kind: Any, tree: object, path: KeyPath, faults: Faults) -> Any:
    """One key's value, of a type as the structures here use them."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        kind = next(each for each in arguments if each is not type(None))
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    inner = arguments[-1] if arguments else kind
    if not (isinstance(inner, type) and issubclass(inner, msgspec.Struct)):
        return _leaf(kind, tree, path, faults)
    if origin is list and isinstance(tree, list):
        items = [read_struct(inner, each, (*path, place), faults) for place, each in enumerate(tree)]
        return _BAD if None in items else items
    if origin is dict and isinstance(tree, dict):
        entries = {key: read_struct(inner, each, (*path, key), faults) for key, each in tree.items()}
        return {key: entry for key, entry in entries.items() if entry is not None}
    if origin is not None:
        faults.add(path, Wrong.NO_TABLES if origin is list else Wrong.NO_TABLE)
        return _BAD
    found = read_struct(inner, tree, path, faults)
    return _BAD if found is None else found


def _leaf(kind: Any, tree: object, path: KeyPath, faults: Faults) -> Any:
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error))
        inside: KeyPath = (int(place[1]),) if place is not None and place[1] else ()
        faults.add((*path, *inside), Wrong.TYPE, detail=_PLACE.sub("", str(error)))
        return _BAD
