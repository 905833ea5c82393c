"""InfluxQL as the panels ask it, and which of the three kept series a question may read.

    raw ..... "power"              what was measured, 90 days: the last value, one home, or a day of a community
    quarter . "quarter"."power"    15 minutes: a year of a home, a month of a community
    daily ... "daily"."power"      days of the center's zone: any range

A variable's value comes into a query in one form only, `=~ /^(${name:regex})$/`: Grafana escapes it for a regular
expression, slashes included, and the bracket keeps a backslash at its end from the closing slash. In quotes InfluxQL
has no form that Grafana's own (`:sqlstring`, `:singlequote`) would be safe for.

Each SELECT has its own `$timeFilter`, the outer one too: without it InfluxDB 1.6 looks through the shards of all times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hearthline_dashboards.kinds import Builder, Dataquery

Tier = Literal["raw", "quarter", "daily"]
Format = Literal["time_series", "table"]

DATASOURCE = "${datasource}"
REF_IDS = "ABCDEFGHIJKLMNOP"


def source(quantity: str, tier: Tier = "raw") -> str:
    """What follows FROM. `quantity` is a word of ours, never a variable."""
    return f'"{quantity}"' if tier == "raw" else f'"{tier}"."{quantity}"'


def where(*tags: str) -> str:
    """What follows WHERE: each tag is what its variable says, and the time is the panel's."""
    return " AND ".join([*(f'"{tag}" =~ /^(${{{tag}:regex}})$/' for tag in tags), "$timeFilter"])


def by(*tags: str) -> str:
    return ", ".join(f'"{tag}"' for tag in tags)


@dataclass(slots=True)
class Query(Builder[Dataquery], Dataquery):
    """One target of a panel. The SDK has no kind for InfluxDB: the fields are those of Grafana's data source plugin."""

    text: str
    alias: str = ""
    format: Format = "time_series"
    ref_id: str = "A"

    def build(self) -> Dataquery:
        return self

    def to_json(self) -> dict[str, object]:
        return {
            "refId": self.ref_id,
            "datasource": {"type": "influxdb", "uid": DATASOURCE},
            "rawQuery": True,
            "query": self.text,
            "resultFormat": self.format,
            **({"alias": self.alias} if self.alias else {}),
        }


def newest(quantity: str, *tags: str, group: tuple[str, ...], name: str = "value") -> str:
    """The last raw value of each group, under a name of its own."""
    return f'SELECT last("value") AS "{name}" FROM {source(quantity)} WHERE {where(*tags)} GROUP BY {by(*group)}'


def newest_rows(quantity: str, *tags: str, group: tuple[str, ...], name: str) -> str:
    """The same for tables: every row at the range's beginning, so that rows of several quantities can be merged."""
    inner = newest(quantity, *tags, group=group, name=name)
    return f'SELECT max("{name}") AS "{name}" FROM ({inner}) WHERE $timeFilter GROUP BY {by(*group)}'


def total(inner: str, name: str = "value", whole: str = "sum") -> str:
    """One number of many groups."""
    return f'SELECT {whole}("{name}") AS "{name}" FROM ({inner}) WHERE $timeFilter'


def curve(quantity: str, tier: Tier, *tags: str, group: tuple[str, ...], what: str = 'mean("mean")') -> str:
    """Values over time, as fine as the panel is wide."""
    grouped = f"GROUP BY time($__interval), {by(*group)} fill(none)"
    return f"SELECT {what} FROM {source(quantity, tier)} WHERE {where(*tags)} {grouped}"


def used_a_day(quantity: str, zone: str, *tags: str, name: str = "used") -> str:
    """By how much each counter went on in each local day; a counter that was changed begins anew, at no cost."""
    grouped = f"GROUP BY time(1d), {by('community', 'home', 'gateway', 'device')} tz('{zone}')"
    what = f'non_negative_difference(last("last")) AS "{name}"'
    return f"SELECT {what} FROM {source(quantity, 'daily')} WHERE {where(*tags)} {grouped}"


def times_a_window(quantity: str, *tags: str, window: str, group: tuple[str, ...], zone: str) -> str:
    """How often something happened: windows of 15 minutes hold how many values there were and their mean, 1 or 0."""
    each = f'SELECT "count" * "mean" AS "times" FROM {source(quantity, "quarter")} WHERE {where(*tags)}'
    grouped = f"GROUP BY time({window}), {by(*group)} fill(none) tz('{zone}')"
    return f'SELECT sum("times") AS "times" FROM ({each} GROUP BY {by(*group)}) WHERE $timeFilter {grouped}'
