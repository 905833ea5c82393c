"""Every panel's every query, asked as Grafana would ask it: an error or an empty answer is a fault.

    variables' own queries --> what can be chosen --> each target, with everything and with the first of everything

Grafana itself is not there: what is checked is that each question is understood, has an answer, and how long it took.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec
import urllib3

from hearthline.errors import LinkError
from hearthline_dashboards.board import Board, Setting
from hearthline_dashboards.building import as_tree
from hearthline_dashboards.interpolation import ALL, Range, Variable, interpolated, seconds, with_variables
from hearthline_dashboards.provisioning import RULES

_TIMEOUT_S = 60.0
_ERROR_CHARS = 300


class Source(Protocol):
    """A data source as the check needs it."""

    kind: str

    def values(self, query: str) -> list[str]:
        """What a variable's query offers. Raises LinkError."""
        ...

    def points(self, query: str, span: Range, step_s: int) -> int:
        """How many values the answer holds. Raises LinkError for an error too."""
        ...


@dataclass(frozen=True, slots=True)
class Finding:
    """One query that was asked. `fault`: what is wrong, in words, or nothing. `choice`: all or one."""

    board: str
    panel: str
    ref: str
    choice: str
    query: str
    points: int
    seconds: float
    fault: str


class Influx:
    """InfluxQL at `/query`, with the rights of a reader."""

    kind = "influxdb"

    def __init__(self, url: str, database: str, username: str | None = None, password: str | None = None) -> None:
        self._url = f"{url.rstrip('/')}/query"
        self._database = database
        login = f"{username}:{password or ''}" if username else None
        self._headers = {"Content-Type": "application/x-www-form-urlencoded", **urllib3.make_headers(basic_auth=login)}
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT_S)

    def values(self, query: str) -> list[str]:
        """Each value once, in the order of the first."""
        found = (str(row[-1]) for series in self.ask(query) for row in series["values"])
        return list(dict.fromkeys(found))

    def points(self, query: str, span: Range, step_s: int) -> int:
        return sum(
            1 for series in self.ask(query) for row in series["values"] if any(each is not None for each in row[1:])
        )

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The answer's series. Raises LinkError."""
        body = urlencode({"db": self._database, "q": query, "epoch": "ms"})
        answer = self._send(body)
        try:
            tree = msgspec.json.decode(answer)
        except msgspec.DecodeError:
            raise LinkError(f"{self._url} answered what is no JSON: {answer[:_ERROR_CHARS]!r}") from None
        results = tree.get("results", [])
        errors = [tree["error"]] if "error" in tree else [each["error"] for each in results if "error" in each]
        if errors:
            raise LinkError(f"InfluxDB refused the query: {errors[0][:_ERROR_CHARS]}")
        if len(results) != 1:
            raise LinkError(f"the query was taken for {len(results)} statements")
        return [{"values": [], **series} for series in results[0].get("series", [])]

    def _send(self, body: str) -> bytes:
        try:
            answer = self._pool.request("POST", self._url, body=body, headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            raise LinkError(f"{self._url} cannot be reached: {error}; is it InfluxDB's address?") from None
        if answer.status in (401, 403):
            raise LinkError(
                f"{self._url} refused the login (HTTP {answer.status}); give --username and --password-file"
            )
        return answer.data


class Prometheus:
    """PromQL at `/api/v1/query_range`."""

    kind = "prometheus"

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/api/v1/query_range"
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT_S)

    def values(self, query: str) -> list[str]:
        raise LinkError(f"no dashboard asks Prometheus for a variable: {query}")

    def points(self, query: str, span: Range, step_s: int) -> int:
        rate = max(4 * 15, step_s)  # Grafana's $__rate_interval at a scrape interval of 15 s
        fields: dict[str, str] = {
            "query": query.replace("$__rate_interval", f"{rate}s"),
            "start": str(span.from_ms / 1000),
            "end": str(span.to_ms / 1000),
            "step": str(max(step_s, 15)),
        }
        try:
            answer = self._pool.request("POST", self._url, fields=fields, encode_multipart=False)
        except urllib3.exceptions.HTTPError as error:
            raise LinkError(f"{self._url} cannot be reached: {error}; is it Prometheus' address?") from None
        tree = msgspec.json.decode(answer.data)
        if tree.get("status") != "success":
            raise LinkError(f"Prometheus refused the query: {str(tree.get('error'))[:_ERROR_CHARS]}")
        return sum(len(series["values"]) for series in tree["data"]["result"])


def check(boards: Iterable[Board], sources: Mapping[str, Source], now_ms: int) -> Iterator[Finding]:
    """Ask everything. Dashboards of a data source that is not given are left out. Raises LinkError when one is away."""
    for board in boards:
        tree = as_tree(board)
        kind = next(each["query"] for each in tree["templating"]["list"] if each["type"] == "datasource")
        source = sources.get(kind)
        if source is None:
            continue
        span = Range(now_ms - seconds(tree["time"]["from"]) * 1000, now_ms)
        for choice in ("all", "one"):
            variables = yield from _chosen(board, tree, source, choice)
            for panel in tree["panels"]:
                yield from _panel(board, panel, source, variables, span, choice)


def check_rules(source: Source, now_ms: int) -> Iterator[Finding]:
    """Ask what the alert rules ask, each over its own time."""
    for rule in RULES:
        span = Range(now_ms - rule.back_s * 1000, now_ms)
        board = Board("rules", Setting("en"), "", "", "", [])
        if rule.may_be_empty:
            board.quiet.add(0)
        panel = {"id": 0, "title": rule.name, "targets": [{"refId": "A", "query": rule.query}]}
        yield from _panel(board, panel, source, {}, span, "all")


def _chosen(
    board: Board, tree: dict[str, Any], source: Source, choice: str
) -> Generator[Finding, None, dict[str, Variable]]:
    """Choose each variable's value, in order; yields a finding for each, returns them."""
    variables: dict[str, Variable] = {}
    for variable in tree["templating"]["list"]:
        if variable["type"] != "query":
            continue
        query = with_variables(variable["query"], variables)
        began = time.perf_counter()
        try:
            values, fault = source.values(query), ""
        except LinkError as error:
            values, fault = [], str(error)
        took = time.perf_counter() - began
        if not values and not fault:
            fault = "nothing can be chosen"
        yield Finding(
            board.setting.uid(board.name), f"${variable['name']}", "", choice, query, len(values), took, fault
        )
        first = values[0] if values else ""
        chosen = ALL if choice == "all" and variable["includeAll"] else first
        variables[variable["name"]] = Variable(chosen, variable.get("allValue"), tuple(values))
    return variables


def _panel(
    board: Board, panel: dict[str, Any], source: Source, variables: dict[str, Variable], span: Range, choice: str
) -> Iterator[Finding]:
    if "timeFrom" in panel:
        span = Range(span.to_ms - seconds(panel["timeFrom"]) * 1000, span.to_ms)
    may_be_empty = panel["id"] in board.quiet or choice == "one"  # one home may have none of a thing, all must not
    for target in panel.get("targets", ()):
        text = str(target.get("query") or target["expr"])
        query = interpolated(text, variables, span, panel.get("interval", ""))
        began = time.perf_counter()
        try:
            points, fault = source.points(query, span, 15), ""
        except LinkError as error:
            points, fault = 0, str(error)
        took = time.perf_counter() - began
        if not points and not fault and not may_be_empty:
            fault = "no value: the panel would be empty"
        yield Finding(
            board.setting.uid(board.name), panel["title"], target["refId"], choice, query, points, took, fault
        )
