"""The two languages of InfluxDB 1.x as text: line protocol to write, InfluxQL to read.

Line protocol has no spelling for a line break inside a name or a tag, nor for a backslash at its end, and takes a line
that begins with `#` for a comment. So control characters, backslashes and percent signs are written percent-encoded,
as is a quantity's first `#`, and decoded when read; every other text is stored as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

from hearthline_cloud.store.port import MAX_TIME_NS, MIN_TIME_NS, SeriesKey, SeriesQuery

TAGS = ("community", "home", "gateway", "device", "resident")

_ENCODED = {code: f"%{code:02X}" for code in (*range(0x20), ord("%"), ord("\\"), 0x7F)}
_IN_NAME = _ENCODED | {ord(char): f"\\{char}" for char in ", "}
_IN_TAG = _ENCODED | {ord(char): f"\\{char}" for char in ", ="}


def line_head(series: SeriesKey) -> str:
    """Measurement and tags of a line. An empty tag is omitted: the protocol does not allow it."""
    quantity, *tags = series
    name = quantity.translate(_IN_NAME)
    if name.startswith("#"):
        name = f"%23{name[1:]}"
    pairs = [f",{tag}={value.translate(_IN_TAG)}" for tag, value in zip(TAGS, tags, strict=True) if value]
    return name + "".join(pairs)


def line(head: str, value: float, time_ns: int) -> str:
    """One line; `repr` gives the shortest digits that read back as the same double."""
    return f"{head} value={float(value)!r} {time_ns}"


def select(query: SeriesQuery) -> str:
    """InfluxQL for `query`: rows of (time, value, five tags), or one series a group of tags with (time, value)."""
    tags = ", ".join(_identifier(tag) for tag in TAGS)
    what, group = f'"value", {tags}', ""
    if query.aggregate is not None:
        what = f'{query.aggregate}("value")'
        group = f" GROUP BY time({query.window_ns}ns), {tags} fill(none)"
    order = "DESC" if query.newest_first else "ASC"
    return (
        f"SELECT {what} FROM {_measurement(query.quantity)} WHERE {_where(query.filters)}"
        f"time >= {_clamp(query.from_ns)} AND time < {_clamp(query.to_ns)}{group} ORDER BY time {order} "
        f"LIMIT {query.limit}"
    )


def create_database(name: str) -> str:
    return f"CREATE DATABASE {_identifier(name)}"


def decoded(text: str) -> str:
    """A tag as the point had it."""
    return unquote(text) if "%" in text else text


def _measurement(quantity: str) -> str:
    name = quantity.translate(_ENCODED)
    return _identifier(f"%23{name[1:]}" if name.startswith("#") else name)


def _where(filters: Mapping[str, str]) -> str:
    return "".join(f"{_identifier(tag)} = {_string(value.translate(_ENCODED))} AND " for tag, value in filters.items())


def _identifier(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _string(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def _clamp(time_ns: int) -> int:
    return max(MIN_TIME_NS, min(time_ns, MAX_TIME_NS))
