"""The center's alerts as annotations over every dashboard: kind, number and a link to the case; nobody's name.

    center's API --alerts since then--> one annotation an alert and language --> Grafana

An annotation is known by its tag `alert:<number>`: run again, it is changed when the alert has ended since, and left
alone otherwise. Meant for a timer, e.g. every minute.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import urllib3

from hearthline.errors import LinkError
from hearthline_dashboards.board import TAG, Setting
from hearthline_dashboards.grafana import Grafana

_TIMEOUT_S = 15.0
_PAGE = 100
_MOST = 5000
_KINDS = {
    "emergency": ("紧急呼叫", "Emergency"),
    "service": ("服务呼叫", "Service call"),
    "gateway-silent": ("网关失联", "Gateway silent"),
    "device-silent": ("设备失联", "Device silent"),
    "device-fault": ("设备故障", "Device fault"),
    "center-blind": ("中心收不到数据", "Center hears nobody"),
    "test-missed": ("自检未通过", "Self-test missed"),
}


class Alert(msgspec.Struct):
    """What of an alert is told; the API's other fields are not even read."""

    id: int
    kind: str
    raised: str
    resolved: str | None = None
    home: str | None = None


class _Page(msgspec.Struct):
    alerts: list[Alert]
    next: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    made: int = 0
    changed: int = 0
    same: int = 0


class Center:
    """The center's API, as an account that may see alerts."""

    def __init__(self, url: str, name: str, password: str) -> None:
        self.url = url.rstrip("/")
        self._pool = urllib3.PoolManager(retries=False, timeout=_TIMEOUT_S)
        body = msgspec.json.encode({"name": name, "password": password})
        answer = msgspec.json.decode(self._ask("POST", "/api/v1/login", body, {}))
        self._headers = {"Authorization": f"Bearer {answer['token']}"}

    def alerts(self, since_ms: int) -> Iterator[Alert]:
        """The newest first, as far back as `since_ms`. Raises LinkError."""
        before = ""
        while True:
            text = self._ask("GET", f"/api/v1/alerts?limit={_PAGE}{before}", None, self._headers)
            page = msgspec.json.decode(text, type=_Page)
            for alert in page.alerts:
                if milliseconds(alert.raised) < since_ms:
                    return
                yield alert
            if page.next is None:
                return
            before = f"&before={page.next}"

    def close(self) -> None:
        """End the session."""
        self._ask("POST", "/api/v1/logout", b"", self._headers)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> bytes:
        sent = {**headers, "Content-Type": "application/json"}
        try:
            answer = self._pool.request(method, f"{self.url}{path}", body=body, headers=sent)
        except urllib3.exceptions.HTTPError as error:
            raise LinkError(f"{self.url} cannot be reached: {error}; is it the center's address?") from None
        if answer.status >= 400:
            advice = "look at --user and --password-file" if answer.status in (400, 401, 403) else "look at its log"
            raise LinkError(f"{self.url}{path.partition('?')[0]} answered HTTP {answer.status}; {advice}")
        return answer.data


def annotate(grafana: Grafana, alerts: Sequence[Alert], settings: Sequence[Setting]) -> Outcome:
    """Raises LinkError; what is done stays done, and running it again goes on."""
    made = changed = same = 0
    for setting in settings:
        there = _known(grafana, alerts, setting)
        for alert in alerts:
            body = annotation(alert, setting)
            found = there.get(f"alert:{alert.id}")
            if found is None:
                grafana.make_annotation(body)
                made += 1
            elif any(found.get(key) != body[key] for key in ("time", "timeEnd", "text")):
                grafana.change_annotation(int(found["id"]), body)
                changed += 1
            else:
                same += 1
    return Outcome(made, changed, same)


def annotation(alert: Alert, setting: Setting) -> dict[str, Any]:
    """A region from its beginning to its end; a point while it is open."""
    began = milliseconds(alert.raised)
    kind = setting.say(*_KINDS.get(alert.kind, (alert.kind, alert.kind)))
    tags = [TAG, "alert", setting.language, alert.kind, f"alert:{alert.id}"]
    return {
        "time": began,
        "timeEnd": began if alert.resolved is None else milliseconds(alert.resolved),
        "tags": [*tags, f"home:{alert.home}"] if alert.home else tags,
        "text": f'<a href="{setting.console}/alerts/{alert.id}">{kind} {alert.id}</a>',
    }


def milliseconds(moment: str) -> int:
    return round(dt.datetime.fromisoformat(moment).timestamp() * 1000)


def _known(grafana: Grafana, alerts: Sequence[Alert], setting: Setting) -> dict[str, dict[str, Any]]:
    if not alerts:
        return {}
    times = [milliseconds(alert.raised) for alert in alerts]
    found = grafana.annotations([TAG, "alert", setting.language], min(times), max(times), _MOST)
    return {tag: each for each in found for tag in each.get("tags", ()) if str(tag).startswith("alert:")}
