"""What Grafana makes of a query before it asks it: variables, time filter, interval. Written from its documentation.

    query --variables, each in its format--> --$timeFilter, $__interval--> what goes to the data source

Two passes, as in Grafana: the browser puts the variables in, the data source's backend the macros. So a value that
spells a macro is replaced in the second pass; a format has to be safe for that, too. A custom "all" value goes in as it
is, whatever the format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

ALL = "$__all"
_REGEX_SPECIAL = re.compile(r"[\\^$*+?.()|\[\]{}/]")
_VARIABLE = re.compile(r"\$(\w+)|\[\[(\w+?)(?::(\w+))?\]\]|\$\{(\w+)(?:\.([^:^}]+))?(?::([^}]+))?\}")
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400, "M": 30 * 86_400, "y": 365 * 86_400}
# The steps that Grafana rounds an interval to, in seconds: it takes the greatest that is not above.
_STEPS_S = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)

Value = str | Sequence[str]


@dataclass(frozen=True, slots=True)
class Variable:
    """What is chosen: one text, several, or ALL. `all_value`: what stands for all, if a custom one does."""

    value: Value
    all_value: str | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Range:
    """Milliseconds of Unix time, both ends included, and how many points a panel is wide."""

    from_ms: int
    to_ms: int
    points: int = 1000


class UnknownFormatError(ValueError):
    """A format that this module does not know."""


def interpolated(query: str, variables: Mapping[str, Variable], span: Range, least_interval: str = "") -> str:
    """The query as it is asked. `least_interval`: the panel's, e.g. "15m". Raises UnknownFormatError."""
    return with_macros(with_variables(query, variables), span, least_interval)


def with_variables(text: str, variables: Mapping[str, Variable]) -> str:
    """The first pass. A name that is no variable stays as it is, for the second."""

    def replaced(match: re.Match[str]) -> str:
        name = match[1] or match[2] or match[4]
        variable = variables.get(name)
        return match[0] if variable is None else _formatted(variable, match[3] or match[6] or "")

    return _VARIABLE.sub(replaced, text)


def with_macros(text: str, span: Range, least_interval: str = "") -> str:
    """The second pass, as the InfluxDB data source's backend does it: plain replacing, in this order."""
    step_s = interval_s(span, least_interval)
    for macro, value in (
        ("$timeFilter", f"time >= {span.from_ms}ms and time <= {span.to_ms}ms"),
        ("$interval", in_words(step_s)),
        ("$__interval_ms", str(step_s * 1000)),
        ("$__interval", in_words(step_s)),
    ):
        text = text.replace(macro, value)
    return text


def interval_s(span: Range, least: str = "") -> int:
    """How fine the curve is: the range by the panel's width, rounded down to a step, not below `least`."""
    wanted = (span.to_ms - span.from_ms) / 1000 / span.points
    step = max((each for each in _STEPS_S if each <= wanted), default=1)
    return max(step, seconds(least) if least else 1)


def in_words(step_s: int) -> str:
    for unit in ("d", "h", "m"):
        if step_s % _UNITS_S[unit] == 0:
            return f"{step_s // _UNITS_S[unit]}{unit}"
    return f"{step_s}s"


def seconds(duration: str) -> int:
    """`now-7d`, `7d` or `15m` in seconds."""
    match = re.fullmatch(r"(?:now-)?(\d+)([smhdwMy])", duration)
    if match is None:
        raise ValueError(f"{duration!r} is no duration of Grafana's")
    return int(match[1]) * _UNITS_S[match[2]]


def regex_escaped(text: str) -> str:
    return _REGEX_SPECIAL.sub(lambda match: f"\\{match[0]}", text)


def _formatted(variable: Variable, form: str) -> str:
    value = variable.value
    if value == ALL or (not isinstance(value, str) and ALL in value):
        if variable.all_value is not None and form not in ("text", "percentencode"):
            return variable.all_value
        value = variable.options
    texts = [value] if isinstance(value, str) else list(value)
    match form:
        case "regex":
            escaped = [regex_escaped(text) for text in texts]
            return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
        case "percentencode":
            together = texts[0] if len(texts) == 1 else f"{{{','.join(texts)}}}"
            return quote(together, safe="~()*!.'")
        case "sqlstring":  # known so that a test can show that it is not safe in InfluxQL
            return ",".join("'" + text.replace("'", "''").replace('"', '\\"') + "'" for text in texts)
        case "raw" | "":
            return ",".join(texts)
        case _:
            raise UnknownFormatError(f"the format {form!r} is not used by these dashboards")
