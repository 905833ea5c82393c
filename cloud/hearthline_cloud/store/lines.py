"""Line protocol as other programs and our own export write it, read back into points.

    measurement[,tag=value…] value=NUMBER[i] TIME

One field, `value`; the tags of the port; time in nanoseconds. A backslash before a comma, a space or an equals sign
makes it part of the name. Anything else is refused with its reason: what is imported is what will be read for years.
"""

from __future__ import annotations

import re
from typing import Final

from hearthline_cloud.store.influx_text import TAGS, decoded
from hearthline_cloud.store.port import Point, series_refusal, value_refusal

_SPACE: Final = re.compile(r"(?<!\\)\s+")
_COMMA: Final = re.compile(r"(?<!\\),")
_EQUALS: Final = re.compile(r"(?<!\\)=")
_ESCAPED: Final = re.compile(r"\\([,= ])")
_REMEMBERED: Final = 100_000
_SHOWN: Final = 120


class LineReader:
    """Remembers the heads that it has read: most lines are of a series that is known."""

    def __init__(self) -> None:
        self._heads: dict[str, tuple[str, ...]] = {}

    def point(self, line: str) -> Point:
        """The point of one line. Raises ValueError, saying what is wrong with it."""
        parts = _SPACE.split(line.strip())
        if len(parts) != 3:
            raise ValueError(f"expected `series value=NUMBER TIME`, not {line[:_SHOWN]!r}")
        head, field, time = parts
        if not field.startswith("value="):
            raise ValueError(f"the one field is value, not {field[:_SHOWN]!r}")
        value, time_ns = float(field[6:].removesuffix("i")), int(time)
        quantity, community, home, gateway, device, resident = self._series(head)
        reason = value_refusal(value, time_ns)
        if reason is not None:
            raise ValueError(reason)
        return Point(quantity, community, home, gateway, device, value, time_ns, resident)

    def _series(self, head: str) -> tuple[str, ...]:
        known = self._heads.get(head)
        if known is not None:
            return known
        name, *pairs = _COMMA.split(head)
        tags = dict.fromkeys(TAGS, "")
        for pair in pairs:
            tag, *value = _EQUALS.split(pair)
            if tag not in tags or len(value) != 1:
                raise ValueError(f"{pair[:_SHOWN]!r} is no tag of ours: {', '.join(TAGS)}")
            tags[tag] = _text(value[0])
        series = (_text(name), *tags.values())
        reason = series_refusal((series[0], series[1], series[2], series[3], series[4], series[5]))
        if reason is not None:
            raise ValueError(reason)
        if len(self._heads) >= _REMEMBERED:
            self._heads.clear()
        self._heads[head] = series
        return series


def _text(escaped: str) -> str:
    return decoded(_ESCAPED.sub(r"\1", escaped))
