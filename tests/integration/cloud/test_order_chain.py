"""The whole chain with real processes, a real webhook and a real mail server: from the call back to the volunteer's
report, with the desk killed between queueing and sending."""

from __future__ import annotations

import email
import email.policy
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3
from sqlalchemy import insert

from cloud_center import Cloud
from cloud_processes import Role, running, until
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.alerts.orders import Answer, OrderAction, OrderWish
from hearthline_cloud.desk import Desk
from hearthline_cloud.notify.sending import LEASE_S
from hearthline_cloud.order_desk import OrderDesk
from notify.receivers import MailServer, mail_server
from outside_service import Request, served
from personal_rows import change, put
from secret_files import write_secret
from servers import HOST, free_ports

pytestmark = pytest.mark.integration

POLICY = """
otherwise = "chain"
[policy.chain]
repeat_s = 600
progress_s = 900
volunteer_s = 30
[[policy.chain.step]]
after_s = 0
to = ["call-back"]
[[policy.chain.step]]
after_s = 600
to = ["contact"]
[[policy.chain.step]]
after_s = 602
to = ["street-desk:street"]
[[policy.chain.step]]
after_s = 604
to = ["volunteer"]
"""


@contextmanager
def slow_hook() -> Iterator[tuple[int, list[dict[str, Any]], threading.Event]]:
    """A webhook that answers nobody until it is let go: what is sent to it before is cut off by the kill."""
    got: list[dict[str, Any]] = []
    free = threading.Event()

    def take(request: Request) -> tuple[int, dict[str, str]]:
        got.append(json.loads(request.body))
        free.wait(60)
        return 200, {}

    with served(take) as port:
        try:
            yield port, got, free
        finally:
            free.set()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    made.populate()
    with made.database.transaction() as connection:
        contacts = [{"name": "Li Na", "phone": "861"}]
        change(connection, schema.resident, contacts=contacts, phone="860", illnesses="diabetes")
        change(connection, schema.home, address="Nanjing Road 5")
        for place, volunteer in enumerate(("v-1", "v-2")):
            values = {"id": volunteer, "community_id": "com-1", "name": f"Name {volunteer}", "phone": f"87{place}"}
            put(connection, schema.volunteer, **values)
            paired = {"home_id": "home-1", "place": place, "volunteer_id": volunteer}
            connection.execute(insert(schema.pairing).values(**paired))
        connection.execute(insert(schema.policy).values(version=1, at_ns=0, saved_by="boss", text=POLICY))
    yield made
    made.close()


def configuration(folder: Path, hook_port: int, web_port: int, mail_url: str) -> str:
    write_secret(folder / "secret", "geheim")
    write_secret(folder / "mail-url", mail_url)
    return f"""[web]
port = {web_port}
public_url = "http://{HOST}:{web_port}"
[[channel]]
name = "street"
kind = "webhook"
url = "http://{HOST}:{hook_port}/"
secret_file = "{folder}/secret"
timeout_s = 30
language = "en"
[[channel]]
name = "sms"
kind = "apprise"
url_file = "{folder}/mail-url"
contacts = true
trusted = true
language = "en"
"""


def mails(server: MailServer, phone: str) -> list[str]:
    """The texts that went to a telephone number."""
    letters = [email.message_from_bytes(body, policy=email.policy.default) for to, body in server.got if phone in to[0]]
    bodies = [letter.get_body(("plain",)) for letter in letters]
    return [body.get_content() for body in bodies if body is not None]


def orders(cloud: Cloud) -> list[tuple[str, str | None, str]]:
    return [(row.kind, row.volunteer_id, row.state) for row in cloud.rows(schema.work_order)]


def post(url: str, **form: str) -> int:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = urllib3.request(
        "POST", url, body=urlencode(form), headers=headers, redirect=False, retries=False, timeout=60
    )
    return answer.status


@pytest.mark.timeout(400)
def test_from_the_call_back_to_the_volunteers_report_with_the_desk_killed(cloud: Cloud, tmp_path: Path) -> None:
    (web_port,) = free_ports(1)
    cloud.take(cloud.gateway.press())
    with slow_hook() as (port, told, free), mail_server() as mail:
        extra = configuration(tmp_path, port, web_port, mail.url("{phone}@sms.example.org"))
        desk, web = Role(tmp_path, 1, ("desk",), extra), Role(tmp_path, 1, ("web",), extra)
        with running(desk), running(web):
            until(lambda: orders(cloud) == [("call-back", None, "issued")], 60)
            no_answer = OrderWish(OrderAction.REPORT, Answer.NO_ANSWER)
            OrderDesk(cloud.database, cloud.waker).act(1, no_answer, "mei", time.time_ns())
            until(lambda: mails(mail, "861"), 60)
            until(lambda: told, 60)  # the street desk's message is on its way, and its answer never comes
            desk.kill()
            free.set()
            desk.start()
            (text,) = until(lambda: mails(mail, "870"), 60)
            link = re.findall(rf"http://{HOST}:{web_port}/v/\S{{32}}", text)[0]
            assert post(f"{link}/open") == 303
            desk.kill()
            assert post(f"{link}/decline") == 200  # while no desk runs
            desk.start()
            (text,) = until(lambda: mails(mail, "871"), 60)
            link = re.findall(rf"http://{HOST}:{web_port}/v/\S{{32}}", text)[0]
            assert [post(f"{link}/{step}") for step in ("open", "go", "arrive")] == [303, 303, 303]
            assert post(f"{link}/report", outcome="help-given", words="she sits again") == 200
            assert post(f"{link}/report", outcome="help-given") == 404
            until(lambda: {row.state for row in cloud.rows(schema.notification)} == {"sent"}, LEASE_S + 60)
            Desk(cloud.database, cloud.waker).resolve(1, Outcome.HELP_GIVEN, "mei", time.time_ns())
            until(lambda: orders(cloud)[1] == ("street", None, "withdrawn"), 60)
    assert orders(cloud) == [
        ("call-back", None, "reported"),
        ("street", None, "withdrawn"),
        ("volunteer", "v-1", "declined"),
        ("volunteer", "v-2", "reported"),
    ]
    assert [(row.channel, row.order_id) for row in cloud.rows(schema.notification)] == [
        ("sms", 0),
        ("street", 2),
        ("sms", 3),
        ("sms", 4),
    ]
    assert len({message["id"] for message in told}) == 1  # told again after the kill, by the same key
    every = " ".join([str(told), *mails(mail, "870"), *mails(mail, "871")])
    assert "diabetes" not in every
    assert "Nanjing Road" not in every
    ways = [(row.kind, row.actor) for row in cloud.rows(schema.journal) if row.actor.startswith("volunteer:")]
    assert ("attending", "volunteer:v-2") in ways
    assert ("arrived", "volunteer:v-2") in ways
    with cloud.database.reading() as connection:
        assert journal.check(connection).broken_at is None
