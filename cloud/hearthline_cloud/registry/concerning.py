"""What a plan was decided by, so that a change by others meanwhile is told from one that has nothing to do with it.

    the entries themselves, and what they refer to ......... by id
    of gateways and residents that are there ............... their homes, which say whose they are
    a device that no other in the world has the id of ...... with any gateway, and where those gateways stand
    a gateway that moves ................................... any of its devices, and any resident

So a device that is bound in a home does not hold up a table about other homes. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from hearthline_cloud.registry.known import Known, is_alone
from hearthline_cloud.registry.shape import FIELDS, Key, Kind, Values, pseudonym

Mark = tuple[Kind, str]
ANY = "*"  # no id has it


def marks_of(kind: Kind, ids: Iterable[str]) -> Iterator[Mark]:
    """By what a plan may be concerned with entries of the journal's `ids`."""
    for name in ids:
        if kind is Kind.DEVICE:
            gateway, _, device = name.partition("/")
            yield from ((kind, name), (kind, f"{ANY}/{device}"), (kind, f"{gateway}/{ANY}"))
        elif kind in (Kind.RESIDENT, Kind.CONTACT):
            yield from ((Kind.RESIDENT, name), (Kind.RESIDENT, ANY))
        else:
            yield kind, name


def concerns(own: Mapping[Kind, Mapping[Key, Values]], known: Known, moved: Collection[str]) -> Iterator[Mark]:
    """`own`: what the entries say. `moved`: gateways that go to another home."""
    for kind, entries in own.items():
        for key, values in entries.items():
            yield Kind.RESIDENT if kind is Kind.CONTACT else kind, pseudonym(kind, key)
            yield from (
                (each.refers, values[each.name]) for each in FIELDS[kind] if each.refers and values.get(each.name)
            )
    for kind in (Kind.GATEWAY, Kind.RESIDENT):
        yield from ((Kind.HOME, row["home"]) for row in known.rows[kind].values())
    for _, device in own[Kind.DEVICE]:
        if is_alone(device):
            yield Kind.DEVICE, f"{ANY}/{device}"
            yield from ((Kind.GATEWAY, gateway) for gateway, _ in known.places.get(device, ()))
    for gateway in moved:
        yield from ((Kind.DEVICE, f"{gateway}/{ANY}"), (Kind.RESIDENT, ANY))
