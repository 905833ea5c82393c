"""People stay in one place: whatever leaves the center's database names nobody (promise 9).

The whole product runs: simulated home, agent, brokers, ingester, desk, web, InfluxDB, a webhook and a mail server. Its
one resident, her family, a volunteer, the staff's words and a reason are planted, unmistakable, in Chinese and in
English; then `PLACES` is searched for them. To search one more place, add a line there.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import paho.mqtt.client as paho
import pytest
import urllib3
from paho.mqtt.enums import CallbackAPIVersion

from hearthline.cli import run
from hearthline_sim.demo.stack import Plan, Stack
from hearthline_sim.demo.trial import Trial, run_trial
from notify.receivers import MailServer, mail_server
from outside_service import OutsideService, outside_service
from secret_files import write_secret
from servers import HOST, Influxd, free_ports, influxd

pytestmark = [pytest.mark.demo, pytest.mark.integration, pytest.mark.timeout(240)]

REGISTRY = {  # what the demo's registry says, and what is planted in its place
    "王秀英": "欧阳碧落 Obeira Ouyang",
    "王建国": "欧阳惊蛰 Jingzhe",
    "021-5555 0101": "021-7731 4096",
    "139 5555 0102": "139 7731 8192",
    "上海市静安区某路 1 弄 3 号 502 室": "琥珀巷 77 弄 Amberlane 9 号",
    "高血压 hypertension": "帕金森 parkinsonism",
    "3号楼 502": "琥珀楼 Amberhouse",
}
VOLUNTEER = "司徒 Situvol"
NOTE, REASON, SEARCHED = "摔倒在浴室 fell-in-bathroom", "住院观察 hospitalised", "碧落"
PLANTED = (
    "欧阳碧落", "Obeira", "欧阳惊蛰", "Jingzhe", "7731 4096", "7731 8192", "77314096", "77318192", "琥珀", "Amberlane",
    "Amberhouse", "帕金森", "parkinsonism", "司徒", "Situvol", "摔倒在浴室", "fell-in-bathroom", "住院观察",
    "hospitalised",
)  # fmt: skip
POLICY = """
otherwise = "all"
[policy.all]
repeat_s = 600
progress_s = 900
[[policy.all.step]]
after_s = 0
to = ["channel:hook", "channel:mail", "channel:trusted"]
"""
MAY_NAME = {"registry.toml"}  # what people are named in. The database is not: what names them is sealed in it
FILLER = {"ballast"}  # 16 MiB that the agent gives back on a full disk


Found = Iterator[tuple[str, bytes, list[str]]]
"""Which file, message or answer; what it holds; who is named in it."""


@dataclass
class Ran:
    """What a run of the product has left for whoever looks."""

    folder: Path
    heard: dict[str, list[bytes]] = field(default_factory=dict)  # by broker
    store: bytes = b""
    metrics: bytes = b""
    urls: list[str] = field(default_factory=list)
    refusals: list[bytes] = field(default_factory=list)
    hook: OutsideService | None = None
    mail: MailServer | None = None
    trusted: OutsideService | None = None
    searched: dict[Path, tuple[bytes, list[str]]] = field(default_factory=dict)  # each file once

    def search(self, path: Path) -> tuple[bytes, list[str]]:
        """Its content, and who is named in it."""
        if path not in self.searched:
            content = path.read_bytes()
            self.searched[path] = content, named(content)
        return self.searched[path]


def files(ran: Ran, wanted: Callable[[Path], bool]) -> Found:
    for path in sorted(ran.folder.rglob("*")):
        if path.is_file() and path.name not in MAY_NAME | FILLER and wanted(path):
            yield str(path.relative_to(ran.folder)), *ran.search(path)


def told(which: str, content: bytes) -> Found:
    yield which, content, named(content)


def inside(name: str) -> Callable[[Ran], Found]:
    return lambda ran: files(ran, lambda path: name in path.relative_to(ran.folder).parts)


def got(service: OutsideService | None) -> bytes:
    assert service is not None
    return json.dumps(service.got, ensure_ascii=False).encode()


def mails(ran: Ran) -> bytes:
    assert ran.mail is not None
    return b"\n".join(content for _, content in ran.mail.got)


# place -> what is there; a word that must be among it, so that an empty place does not pass
PLACES: dict[str, tuple[Callable[[Ran], Found], bytes]] = {
    "the wire to the center": (lambda ran: told("#", b"\n".join(ran.heard["center"])), b"up/event"),
    "the wire in the home": (lambda ran: told("#", b"\n".join(ran.heard["home"])), b"/signal"),
    "the gateway's disk": (inside("gateway"), b"SQLite format 3"),
    "the center's folder, its database": (inside("center"), b"emergency"),
    "logs": (lambda ran: files(ran, lambda path: path.suffix == ".log"), b'"level":"info"'),
    "InfluxDB, asked for everything": (lambda ran: told("query", ran.store), b"systolic"),
    "InfluxDB's files": (inside("influx"), b"systolic"),
    "metrics": (lambda ran: told("/metrics", ran.metrics), b"hearthline_"),
    "a webhook that is not trusted": (lambda ran: told("hook", got(ran.hook)), b"emergency"),
    "mail that is not trusted": (lambda ran: told("mail", mails(ran)), b"Subject"),
    "addresses that the browser asks for": (lambda ran: told("urls", "\n".join(ran.urls).encode()), b"/alerts/"),
    "refusals": (lambda ran: told("answers", b"\n".join(ran.refusals)), b"error"),
    "whatever else lies there": (lambda ran: files(ran, lambda path: True), b""),
}


def forms(word: str) -> list[bytes]:
    """A word as files, messages and addresses may spell it."""
    quoted = urlencode({"": word})[1:]
    return [word.encode(), json.dumps(word)[1:-1].encode(), word.encode("utf-16-le"), quoted.encode()]


def named(content: bytes) -> list[str]:
    return [word for word in PLANTED if any(form in content for form in forms(word))]


@contextmanager
def eavesdropper(port: int, heard: list[bytes]) -> Iterator[None]:
    """Every message of a broker: topic and payload."""
    subscribed = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="eavesdropper", protocol=paho.MQTTv311)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _client, _data, message: heard.append(message.topic.encode() + b" " + message.payload)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        client.subscribe("#", 1)
        assert subscribed.wait(10)
        yield
    finally:
        client.disconnect()
        client.loop_stop()


class Planted(Stack):
    """The demo's product with the planted people, with channels and metrics."""

    channels = ""
    metrics_ports: tuple[int, ...] = ()

    def _registry_toml(self) -> str:
        text = super()._registry_toml()
        for old, new in REGISTRY.items():
            assert old in text
            text = text.replace(old, new)
        volunteer = f'[[volunteer]]\nid = "v-1"\ncommunity = "jingan"\nname = "{VOLUNTEER}"\nphone = "139 7731 8192"\n'
        return text + volunteer + '[[pairing]]\nhome = "home-1"\nvolunteers = ["v-1"]\n'

    def _cloud_toml(self) -> str:
        return f"{super()._cloud_toml()}[metrics]\nport = {self.metrics_ports[0]}\n{self.channels}"

    def _prepare_center(self) -> None:
        super()._prepare_center()
        (self.folder / "policy.toml").write_text(POLICY, encoding="utf-8")
        saved = run(
            ["cloud", "policy", "save", str(self.folder / "policy.toml"), "--config", str(self.folder / "cloud.toml")]
        )
        assert saved == 0


def channel(name: str, kind: str, extra: str) -> str:
    return f'[[channel]]\nname = "{name}"\nkind = "{kind}"\n{extra}\n'


def every_address(page: str) -> list[str]:
    """But for those that a telephone dials."""
    found: list[str] = re.findall(r'(?:href|src|action)="(?!tel:)([^"]*)"', page)
    return found


def browse(stack: Stack, ran: Ran, alert: int) -> None:
    """Look at whatever names people, search for one, send what is refused; keep each address and each refusal."""
    operator = stack.operator
    headers = {**operator._headers, "X-Hearthline": "1"}
    http = urllib3.PoolManager(retries=False)

    def ask(method: str, path: str, **more: Any) -> urllib3.BaseHTTPResponse:
        answer = http.request(
            method, stack.url + path, headers={**headers, **more.pop("also", {})}, redirect=False, **more
        )
        ran.urls += [path, answer.headers.get("location", ""), *every_address(answer.data.decode())]
        if answer.status >= 400:
            ran.refusals.append(answer.data)
        return answer

    card = ask("GET", "/api/v1/residents/r-7f3a").data
    assert set(named(card)) >= {"欧阳碧落", "Obeira", "帕金森", "Amberlane", "7731 4096"}  # it can be found
    for path in ("/", f"/alerts/{alert}", "/residents/r-7f3a", "/homes", "/history", "/orders", "/watch", "/wall"):
        assert ask("GET", path).status in (200, 303)
    form = {"content-type": "application/x-www-form-urlencoded"}
    found = ask("POST", "/history", body=urlencode({"who": SEARCHED}), also=form)
    assert found.status == 303
    for body in ({"text": NOTE * 500}, {"text": {"odd": NOTE}}, {"words": NOTE}):
        refused = ask(
            "POST", f"/api/v1/alerts/{alert}/notes", body=json.dumps(body), also={"content-type": "application/json"}
        )
        assert refused.status >= 400


def test_nobody_is_named_outside_the_centers_database(tmp_path: Path) -> None:
    ran = Ran(tmp_path, {"center": [], "home": []})
    with ExitStack() as resources:
        (tmp_path / "influx").mkdir()
        influx: Influxd = resources.enter_context(influxd(tmp_path / "influx"))
        ran.hook, ran.trusted = (resources.enter_context(outside_service()) for _ in range(2))
        ran.mail = resources.enter_context(mail_server())
        stack = Planted(tmp_path, Plan(vitals_every_s=3.0, store_url=influx.url))
        stack.metrics_ports = three_ports()
        secret = f'secret_file = "{write_secret(tmp_path / "secret", "geheim")}"'
        stack.channels = "".join(
            [
                channel("hook", "webhook", f'url = "{ran.hook.url}"\n{secret}'),
                channel("trusted", "webhook", f'url = "{ran.trusted.url}"\n{secret}\ntrusted = true'),
                channel(
                    "mail", "apprise", f'url_file = "{write_secret(tmp_path / "mail-url", ran.mail.url("d@x.org"))}"'
                ),
            ]
        )
        resources.callback(stack.stop)
        stack.start()
        resources.enter_context(eavesdropper(stack.center_broker.port_v311, ran.heard["center"]))
        resources.enter_context(eavesdropper(stack.home_broker.port_v311, ran.heard["home"]))
        report = run_trial(stack, Trial(8.0, 2, 1), lambda _: None)
        assert report["alarm_events"] == 2
        alert = stack.operator.get("/api/v1/alerts")["alerts"][0]["id"]
        stack.operator.post(f"/api/v1/alerts/{alert}/notes", {"text": NOTE})
        stack.operator.post("/api/v1/absences", absence())
        browse(stack, ran, alert)
        until(lambda: got(ran.hook) != b"[]" and mails(ran))
        ran.store = asked_for_everything(influx, stack)
        ran.metrics = b"\n".join(scraped(port) for port in stack.metrics_ports)
    assert set(named(got(ran.trusted))) >= {"琥珀", "Amberhouse"}, "the control: who is trusted is told the place"
    for place, (look, proof) in PLACES.items():
        seen = list(look(ran))
        assert any(proof in content for _, content, _ in seen), f"{place}: nothing is there"
        assert {which: words for which, _, words in seen if words} == {}, place


def absence() -> dict[str, Any]:
    now = time.time()
    begins, ends = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + wait)) for wait in (3600, 7200))
    return {"home": "home-1", "begins": begins, "ends": ends, "reason": REASON}


def three_ports() -> tuple[int, ...]:
    """In a row and free: ingest, desk, web."""
    while True:
        (first,) = free_ports(1)
        row = (first, first + 1, first + 2)
        if all(is_free(port) for port in row):
            return row


def is_free(port: int) -> bool:
    with socket.socket() as each:
        return each.connect_ex((HOST, port)) != 0


def scraped(port: int) -> bytes:
    answer = urllib3.request("GET", f"http://{HOST}:{port}/metrics", retries=False)
    assert answer.status == 200
    return answer.data


def asked_for_everything(influx: Influxd, stack: Stack) -> bytes:
    """Every series with its tags, and every value."""
    questions = ("SHOW SERIES", "SELECT * FROM /.*/")
    database = stack.plan.store_database
    answers = [
        urllib3.request("GET", f"{influx.url}/query", fields={"db": database, "q": question}).data
        for question in questions
    ]
    return b"\n".join(answers)


def until(is_so: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
