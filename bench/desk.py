"""The alert desk under load: 10,000 open alerts, 1,000 new ones a minute, twenty operators, one real Chromium.

    python bench/desk.py [--open 10000] [--alerts 1000] [--seconds 60] [--clients 20]

Ingester, desk and web role are processes of their own over one SQLite file; presses come through mosquitto from as many
homes, each of which says its status every 30 s. A client does what the console's script does: it hears the stream, and
after each message reads the page's live part and the counts again, one reading at a time. "On the stream" is from the
publication of the press to the stream's message; "in the page" to the part of the page that shows the alert; "painted"
to the frame after the row stands in Chromium's document. CPU is of each role's process.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import urllib3
from paho.mqtt.enums import CallbackAPIVersion
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import exists, func, insert, select

from hearthline import wire
from hearthline.clock import NS
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import AlertKind, State, join_key
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.people import People
from hearthline_cloud.permissions import Role as StaffRole
from hearthline_cloud.personal.keys import KEY_FILE
from hearthline_cloud.personal.opening import unlock
from hearthline_cloud.personal.vault import sealed

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from browser.conftest import ARGUMENTS, CHROMIUM
from cloud_center import TestGateway
from cloud_processes import Role, until
from servers import HOST, free_ports, mosquitto
from web.client import PASSWORD, Client

STATUS_S = 30.0
WARM_UP_S = 5.0
_ROW = re.compile(rb'id="alert-(\d+)"')
_WATCH_ROWS = """() => {
  window.painted = {};
  const see = () => {
    const fresh = [...document.querySelectorAll('.row[id]')].filter((row) => !(row.id in window.painted));
    if (!fresh.length) return;
    for (const row of fresh) window.painted[row.id] = 0;
    requestAnimationFrame(() => requestAnimationFrame(() => {
      for (const row of fresh) window.painted[row.id] = performance.timeOrigin + performance.now();
    }));
  };
  see();
  new MutationObserver(see).observe(document.getElementById('live'), { childList: true, subtree: true });
}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--open", type=int, default=10_000, help="alerts that are open before")
    parser.add_argument("--alerts", type=int, default=1_000, help="presses a minute, each a new alert")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hearthline-bench-") as name:
        measure(Path(name), options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    presses = round(options.alerts * options.seconds / 60)
    populate(folder, options.open, presses)
    (web_port,) = free_ports(1)
    extra = f'[web]\nhost = "{HOST}"\nport = {web_port}\n'
    url = f"http://{HOST}:{web_port}"
    (folder / "broker").mkdir()
    with ExitStack() as stack:
        broker = stack.enter_context(mosquitto(folder / "broker"))
        roles = {name: Role(folder, broker.port, (name,), extra) for name in ("ingest", "desk", "web")}
        for role in roles.values():
            role.start()
            stack.callback(role.kill)
        until(lambda: answers(url), 60)
        until(lambda: is_settled(folder), 600, 1.0)
        homes = Homes(broker.port, presses)
        stack.callback(homes.close)
        page = stack.enter_context(chromium(url))
        print(f"{options.open} open alerts; the first page in Chromium: {first_paint(page, url)}")
        clients = [Operator(url) for _ in range(options.clients)]
        for client in clients:
            stack.callback(client.close)
        page.evaluate(_WATCH_ROWS)
        homes.wait(WARM_UP_S)
        before, began = cpu(roles), time.monotonic()
        homes.press_all(options.seconds)
        spent = time.monotonic() - began
        used = {name: after - before[name] for name, after in cpu(roles).items()}
        last = homes.sent[-1][1]
        until(lambda: all(last in client.on_stream for client in clients), 60)
        last_alert = clients[0].alert_of[last]
        until(lambda: all(last_alert in client.in_page for client in clients), 60)
        page.wait_for_selector(f"#alert-{last_alert}", state="attached", timeout=60_000)
        painted = page.evaluate("() => window.painted")
        print(f"under load: {first_paint(page, url)}")
    report(homes.sent, clients, painted, used, spent)


def report(
    sent: Sequence[tuple[float, str]],
    clients: Sequence[Operator],
    painted: dict[str, float],
    used: dict[str, float],
    spent: float,
) -> None:
    on_stream = [client.on_stream[key] - at for client in clients for at, key in sent]
    alert_of = clients[0].alert_of
    in_page = [client.in_page[alert_of[key]] - at for client in clients for at, key in sent]
    in_chromium = [painted[f"alert-{alert_of[key]}"] / 1000 - at for at, key in sent]
    print(f"{len(sent)} presses in {spent:.1f} s, {len(clients)} clients and one Chromium")
    print(f"{'ms':<14}{'count':>8}{'p50':>9}{'p90':>9}{'p99':>9}{'max':>9}")
    for name, delays in (("on the stream", on_stream), ("in the page", in_page), ("painted", in_chromium)):
        marks = [percentile(delays, share) for share in (0.5, 0.9, 0.99, 1.0)]
        print(f"{name:<14}{len(delays):>8}" + "".join(f"{mark * 1000:>9.0f}" for mark in marks))
    print("CPU " + ", ".join(f"{name} {100 * seconds / spent:.1f} %" for name, seconds in used.items()))


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


def cpu(roles: dict[str, Role]) -> dict[str, float]:
    """Seconds of CPU that each process has used."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = {}
    for name, role in roles.items():
        fields = Path(f"/proc/{role.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        found[name] = (int(fields[11]) + int(fields[12])) / ticks
    return found


def populate(folder: Path, open_alerts: int, homes: int) -> None:
    database = Database(sqlite_url(folder / "hearthline.db"))
    database.migrate()
    unlock(database, folder / KEY_FILE, may_make=True)
    now = time.time_ns()
    People(database).accounts.add("mei", PASSWORD, StaffRole.OPERATOR, now)
    kinds = [AlertKind.EMERGENCY, AlertKind.SERVICE, AlertKind.SERVICE, AlertKind.GATEWAY_SILENT]
    with database.transaction() as connection:
        connection.execute(insert(schema.community).values(id="east", name="东区"))
        for number in range(homes + open_alerts):
            home, resident = f"h-{number}", f"r-{number}"
            place = {"id": home, "community_id": "east", "name": f"幸福里 {number} 室"}
            connection.execute(insert(schema.home).values(**sealed(connection, schema.home, place)))
            person = {"id": resident, "home_id": home, "name": f"住户 {number}", "contacts": []}
            connection.execute(insert(schema.resident).values(**sealed(connection, schema.resident, person)))
            if number < homes:
                connection.execute(insert(schema.gateway).values(id=f"gw-{number}", home_id=home))
                pendant = {"gateway_id": f"gw-{number}", "id": "enocean:1", "resident_id": resident, "room": "卧室"}
                connection.execute(insert(schema.device).values(registered=True, **pendant))
                continue
            kind = kinds[number % len(kinds)]
            raised_ns = now - (number + 1) * NS
            values = {"home_id": home, "resident_id": resident, "gateway_id": "", "device_id": "", "presses": 1}
            alert = connection.execute(
                insert(schema.alert)
                .values(kind=kind, join_key=join_key(kind, home, ""), state=State.RAISED, raised_ns=raised_ns, **values)
                .returning(schema.alert.c.id)
            ).scalar_one()
            journal.append(connection, "raised", raised_ns, {}, alert=alert)
    database.close()


class Homes:
    """As many gateways over one connection: each says its status every 30 s, and presses once."""

    def __init__(self, port: int, count: int) -> None:
        self.sent: list[tuple[float, str]] = []  # Unix seconds, event id
        self._gateways = [TestGateway(id=f"gw-{number}", outbox=f"outbox-{number}") for number in range(count)]
        self._stopping = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bench", protocol=paho.MQTTv5)
        self._client.max_inflight_messages_set(10_000)
        self._client.connect(HOST, port)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._say, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def press_all(self, seconds: float) -> None:
        began = time.monotonic()
        for place, gateway in enumerate(self._gateways):
            self.wait(max(0.0, began + place * seconds / len(self._gateways) - time.monotonic()))
            event = gateway.press()
            payload = wire.encode_event(event)
            self.sent.append((time.time(), event.id))
            self._client.publish(wire.topic(gateway.id, wire.UP_EVENT), payload, qos=1)

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def _say(self) -> None:
        while not self._stopping.is_set():
            for gateway in self._gateways:
                status = wire.encode(wire.Status(state="online", outbox=gateway.outbox))
                self._client.publish(wire.topic(gateway.id, wire.UP_STATUS), status, qos=1, retain=True)
                if self._stopping.wait(STATUS_S / len(self._gateways)):
                    return


@dataclass
class Operator:
    """One console without its browser. Times are Unix seconds."""

    url: str
    on_stream: dict[str, float] = field(default_factory=dict)  # by event id
    alert_of: dict[str, int] = field(default_factory=dict)
    in_page: dict[int, float] = field(default_factory=dict)  # by alert id

    def __post_init__(self) -> None:
        self._client = Client(self.url)
        self._client.log_in("mei")
        self._pool = urllib3.PoolManager(retries=False)
        self._cookie = {"cookie": f"hearthline_session={self._client.token}"}
        self._changed, self._closing = threading.Event(), threading.Event()
        self._stream = self._client.stream()
        for run in (self._listen, self._read):
            threading.Thread(target=run, daemon=True).start()

    def close(self) -> None:
        self._closing.set()
        self._changed.set()
        self._stream.answer.close()

    def _listen(self) -> None:
        while not self._closing.is_set():
            try:
                message = self._stream.journal()
            except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError):
                return
            if message is None:
                return
            if message["event"] is not None and message["alert"] is not None:
                self.alert_of[message["event"]["event_id"]] = message["alert"]["id"]
                self.on_stream[message["event"]["event_id"]] = time.time()
            self._changed.set()

    def _read(self) -> None:
        while not self._closing.is_set():
            self._changed.wait()
            self._changed.clear()
            body = self._get("/fragments/alerts")
            now = time.time()
            for found in _ROW.findall(body):
                self.in_page.setdefault(int(found), now)
            json.loads(self._get("/fragments/summary"))

    def _get(self, path: str) -> bytes:
        answer = self._pool.request("GET", self.url + path, headers=self._cookie)
        assert answer.status == 200 or self._closing.is_set(), (path, answer.status)
        return answer.data


def is_settled(folder: Path) -> bool:
    """Whether the desk has taken every step that was due when it started."""
    database = Database(sqlite_url(folder / "hearthline.db"))
    timer = schema.escalation
    late = exists().where(
        timer.c.alert_id == schema.alert.c.id, timer.c.fired_ns.is_(None), timer.c.due_ns > time.time_ns()
    )
    with database.reading() as connection:
        waiting = connection.execute(select(func.count()).select_from(schema.alert).where(~late)).scalar_one()
    database.close()
    return waiting == 0


def answers(url: str) -> bool:
    try:
        return bool(urllib3.request("GET", f"{url}/readyz", retries=False).status == 200)
    except urllib3.exceptions.HTTPError:
        return False


@contextmanager
def chromium(url: str) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{url}/login")
        page.fill("#name", "mei")
        page.fill("#password", PASSWORD)
        page.click("main button.primary")
        page.wait_for_selector("[data-link=live]")
        yield page
        browser.close()


def first_paint(page: Page, url: str) -> str:
    """The first contentful paint of the page of alerts and when its document was whole, loaded anew."""
    page.goto(f"{url}/")
    page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length > 0")
    marks: Any = page.evaluate(
        "() => [performance.getEntriesByName('first-contentful-paint')[0].startTime,"
        " performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd]"
    )
    return f"first contentful paint {marks[0]:.0f} ms, document whole after {marks[1]:.0f} ms"


if __name__ == "__main__":
    main()
