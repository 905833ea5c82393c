"""A gateway that goes to another home must not take along whose its devices are.

A press would show the card of the old home's resident and call that family. So the move is refused while a device
still names a resident who will not live in the new home, as registry and entries together say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection, select

from hearthline_cloud import schema
from hearthline_cloud.registry.shape import Key, Values


def left_behind(
    connection: Connection, moves: Mapping[str, str], devices: Mapping[Key, Values], residents: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Gateway, device and resident for each device that would name somebody of another home.

    `moves`: gateway -> its new home. `devices`: what the entries say, by gateway and id. `residents`: the home of each
    whom the entries name; of the others the database knows it.
    """
    device, person = schema.device, schema.resident
    homes = dict(residents)
    named: dict[Key, str | None] = {}
    for gateway in moves:
        query = select(device.c.id, device.c.resident_id, person.c.home_id).join(person)
        for row in connection.execute(query.where(device.c.gateway_id == gateway).order_by(device.c.id)):
            named[gateway, row.id] = row.resident_id
            homes.setdefault(row.resident_id, row.home_id)
    named |= {key: values["resident"] for key, values in devices.items() if key[0] in moves and "resident" in values}
    for (gateway, name), resident in named.items():
        if resident and homes.get(resident, moves[gateway]) != moves[gateway]:
            yield gateway, name, resident
