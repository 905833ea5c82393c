"""The one question after a case: who is asked, once; what a link opens; an answer that is kept once and counted."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
import urllib3
from sqlalchemy import func, insert, select, update

from hearthline.clock import NS
from hearthline.errors import ConfigError
from hearthline_cloud import schema
from hearthline_cloud.alerts.figures import tally
from hearthline_cloud.alerts.lifecycle import AlertKind, Outcome
from hearthline_cloud.config import ChannelConfig, CloudConfig, FiguresConfig, WebConfig, load_cloud_config
from hearthline_cloud.desk import Desk
from hearthline_cloud.feedback import VALID_DAYS, Asker
from hearthline_cloud.figuring import Period, read_cases
from hearthline_cloud.links import Links, Purpose, open_links
from hearthline_cloud.notify.channels import Opened
from hearthline_cloud.notify.port import Message, Result
from hearthline_cloud.notify.sending import Worker
from web.past import ZONE, Call, add
from web.seeding import Center

FAMILY = ChannelConfig("family", "webhook", contacts=True, trusted=True)
CLOSED = Call("2026-03-02 10:00", 20, "mei", 60, 900, 1200)  # at 10:20
NOON = round(datetime(2026, 3, 2, 12, tzinfo=ZONE).timestamp()) * NS
MIN = 60 * NS


@dataclass
class Phone:
    """A channel that keeps what it is sent."""

    got: list[Message] = field(default_factory=list)
    result: Result = field(default_factory=lambda: Result(True, "ok"))

    def send(self, message: Message) -> Result:
        self.got.append(message)
        return self.result


def config(center: Center, ask: tuple[str, ...] = ("c-1",), whom: str = "contact") -> CloudConfig:
    figures = FiguresConfig(ask_feedback=list(ask), ask_whom="contact" if whom == "contact" else "resident")
    web = WebConfig(port=center.port, public_url="https://center.example.org")
    return CloudConfig(data_dir=str(center.folder), web=web, channel=[FAMILY], figures=figures)


def asker(center: Center, now_ns: int = NOON, ask: tuple[str, ...] = ("c-1",), whom: str = "contact") -> Asker:
    return Asker(config(center, ask, whom), center.database, lambda: now_ns)


def close(center: Center, call: Call = CLOSED) -> int:
    with center.database.transaction() as connection:
        return add(connection, call)


def send(center: Center, now_ns: int = NOON, phone: Phone | None = None) -> Phone:
    """What the channel's worker does with the queue."""
    phone = phone or Phone()
    links = open_links(config(center))
    worker = Worker(center.database, center.waker, Opened(FAMILY, phone), threading.Event(), lambda: now_ns, links)
    while worker.send_one():
        pass
    return phone


def kinds(center: Center, alert: int) -> list[str]:
    with center.database.reading() as connection:
        query = select(schema.journal.c.kind).where(schema.journal.c.alert_id == alert).order_by(schema.journal.c.id)
        return list(connection.execute(query).scalars())


def count(center: Center, what: str) -> int:
    with center.database.reading() as connection:
        return connection.execute(select(func.count()).select_from(schema.metadata.tables[what])).scalar_one()


# --- who is asked -------------------------------------------------------------------------------------------------


def test_the_first_contact_is_asked_once_by_one_message_that_says_nothing_of_the_case(center: Center) -> None:
    alert = close(center)
    assert asker(center).round() == 1
    assert [asker(center, NOON + each * MIN).round() for each in (0, 1, 60, 600, 1440)] == [0] * 5
    (message,) = send(center).got
    assert message.to == "138-0000-0142"
    link = open_links(config(center)).url(Purpose.FEEDBACK, 1, NOON + VALID_DAYS * 24 * 3600 * NS)
    assert link is not None
    assert message.text.endswith(link)
    for secret in ("王", "梧桐", "502", "emergency", "紧急", "高血压"):
        assert secret not in message.text + message.title
    assert kinds(center, alert)[-1] == "feedback-asked"
    assert send(center, NOON + 3600 * NS).got == []


def test_the_resident_is_asked_where_that_is_configured(center: Center) -> None:
    close(center)
    assert asker(center, whom="resident").round() == 1
    assert [message.to for message in send(center).got] == ["021-5550-0142"]


@pytest.mark.parametrize("outcome", [Outcome.FALSE_ALARM, Outcome.TEST, Outcome.DECLINED, Outcome.PASSED_ON])
def test_nobody_is_asked_where_there_was_no_help_to_give(center: Center, outcome: Outcome) -> None:
    close(center, Call("2026-03-02 10:00", 20, closed_s=1200, outcome=outcome))
    assert asker(center).round() == 0


@pytest.mark.parametrize(
    ("call", "now_ns", "asked"),
    [
        (CLOSED, NOON - 41 * MIN, 0),  # 59 min after the closing
        (CLOSED, NOON - 40 * MIN, 1),
        (CLOSED, NOON + 8 * 60 * MIN - 1, 1),  # just before eight in the evening
        (CLOSED, NOON + 8 * 60 * MIN, 0),
        (CLOSED, NOON + 21 * 60 * MIN, 1),  # nine in the morning
        (CLOSED, NOON + 21 * 60 * MIN - 1, 0),
        (CLOSED, NOON + 24 * 60 * MIN, 0),  # too long ago
        (Call("2026-03-02 10:00", 20), NOON, 0),  # still open
        (Call("2026-03-02 10:00", 20, closed_s=60, home=None, gateway="gw-stray"), NOON, 0),
        (Call("2026-03-02 10:00", 20, closed_s=60, home="h-2", gateway="gw-east-2"), NOON, 0),  # has no contact
        (Call("2026-03-02 10:00", 20, closed_s=60, kind=AlertKind.SERVICE, outcome=Outcome.SERVICE_DONE), NOON, 1),
        (Call("2026-03-02 10:00", 20, closed_s=60, kind=AlertKind.GATEWAY_SILENT), NOON, 0),
    ],
)
def test_when_and_about_what_somebody_is_asked(center: Center, call: Call, now_ns: int, asked: int) -> None:
    close(center, call)
    assert asker(center, now_ns).round() == asked
    assert count(center, "notification") == asked


def test_it_is_off_by_default_and_on_by_community(center: Center) -> None:
    close(center)
    assert asker(center, ask=()).round() == 0
    assert asker(center, ask=("c-2",)).round() == 0
    assert Asker(center.config, center.database, lambda: NOON).round() == 0
    assert asker(center, ask=("c-2", "c-1")).round() == 1


def test_two_desks_ask_once(center: Center) -> None:
    for number in range(5):
        close(center, Call(f"2026-03-02 10:0{number}", 20, closed_s=600))
    with ThreadPoolExecutor(2) as desks:
        asked = sum(desks.map(lambda _: asker(center).round(), range(2)))
    assert asked == 5
    assert len(send(center).got) == 5


def test_a_case_that_is_reopened_before_the_message_goes_is_not_asked_about(center: Center) -> None:
    alert = close(center)
    assert asker(center).round() == 1
    Desk(center.database, center.waker).reopen(alert, "she called again", "mei", NOON)
    assert send(center).got == []
    assert kinds(center, alert)[-1] == "not-notified"
    assert answers(center)["asked"] == 0


def test_a_message_that_cannot_be_sent_is_tried_again_with_the_same_link_and_counts_when_it_is_sent(
    center: Center,
) -> None:
    close(center)
    asker(center).round()
    phone = send(center, phone=Phone(result=Result(False, "HTTP 503", retry=True)))
    assert answers(center)["asked"] == 0
    phone.result = Result(True, "ok")
    send(center, NOON + 5 * NS, phone)
    first, second = phone.got
    assert (first.key, first.text) == (second.key, second.text)
    assert answers(center)["asked"] == 1


def test_to_ask_without_a_way_to_ask_is_refused_at_the_start(center: Center, tmp_path: Path) -> None:
    asking = FiguresConfig(ask_feedback=["c-1"])
    url = WebConfig(public_url="https://center.example.org")
    for made in (
        CloudConfig(data_dir=str(tmp_path), figures=asking, web=url),
        CloudConfig(data_dir=str(tmp_path), figures=asking, channel=[FAMILY]),
    ):
        with pytest.raises(ConfigError, match=r"figures\.ask_feedback"):
            Asker(made, center.database)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('zone = "Asia/Nowhere"', "figures.zone"),
        ('zone = "../etc/passwd"', "figures.zone"),
        ("ask_after_min = -1", "figures.ask_after_min"),
        ('ask_whom = "everybody"', "ask_whom"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, line: str, key: str) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(f'data_dir = "{tmp_path}"\n[figures]\n{line}\n')
    with pytest.raises(ConfigError, match=key):
        load_cloud_config(path)


# --- the page behind the link -------------------------------------------------------------------------------------


def make_link(center: Center, valid_s: int = 3600) -> tuple[int, str]:
    """An asked question: its alert and the path of its page."""
    alert, now_ns = close(center), time.time_ns()
    expires_ns = (now_ns // NS + valid_s) * NS
    with center.database.transaction() as connection:
        key: int = connection.execute(
            insert(schema.feedback)
            .values(alert_id=alert, whom="contact", expires_ns=expires_ns)
            .returning(schema.feedback.c.id)
        ).scalar_one()
    return alert, f"/f/{open_links(center.config).token(Purpose.FEEDBACK, key, expires_ns)}"


def ask(center: Center, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
    return center.client().request("GET", path, headers={"accept-language": "en", **headers})


def reply(center: Center, path: str, headers: dict[str, str] | None = None, **form: str) -> urllib3.BaseHTTPResponse:
    sent = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    return center.client().request("POST", path, urlencode(form).encode(), sent | (headers or {}))


def stored(center: Center) -> list[str | None]:
    with center.database.reading() as connection:
        return list(connection.execute(select(schema.feedback.c.helped).order_by(schema.feedback.c.id)).scalars())


def answers(center: Center) -> dict[str, object]:
    """What the figures say of it."""
    with center.database.reading() as connection:
        line = tally(read_cases(connection, Period(AlertKind.EMERGENCY, 0, 2**62)), NOON)
    return {"asked": line.asked, "helped": dict(line.helped)}


def test_looking_never_uses_a_link_up(served: Center) -> None:
    _, path = make_link(served)
    for _ in range(3):
        page = ask(served, path)
        assert page.status == 200
        assert b"Was there help this time?" in page.data
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
    assert served.client().request("HEAD", path).status in (200, 405)
    assert "这次得到帮助了吗" in ask(served, path + "?lang=zh").data.decode()
    assert stored(served) == [None]
    for secret in ("王秀兰", "梧桐", "502", "mei"):
        assert secret not in ask(served, path).data.decode()


def test_an_answer_is_kept_once_journalled_and_counted(served: Center) -> None:
    alert, path = make_link(served)
    done = reply(served, path, helped="partly", words="来得很快，<b>谢谢</b>")
    assert done.status == 303
    assert done.headers["location"].startswith(path)
    assert b"Thank you for the answer" in ask(served, path).data
    assert reply(served, path, helped="no", words="again").status == 303
    assert stored(served) == ["partly"]
    assert kinds(served, alert)[-2:] == ["feedback-given", "note"]
    page = served.client("mei").get(f"alerts/{alert}").json()["timeline"]
    assert [hop["detail"] for hop in page[-2:]] == [{"helped": "partly"}, {"text": "来得很快，<b>谢谢</b>"}]
    found = served.client("boss").get("figures", **{"from": "2026-03", "to": "2026-03"}).json()["total"]
    assert found["helped"] == {"yes": 0, "partly": 0, "no": 0}  # nobody was asked by a message: no share of nothing
    client = served.client("mei")
    headers = {"cookie": f"hearthline_session={client.token}; hearthline_language=en"}
    shown = client.request("GET", f"/alerts/{alert}", headers=headers).data.decode()
    assert "Partly" in shown
    assert "&lt;b&gt;" in shown


def test_the_whole_way_from_the_closing_to_the_figures(served: Center) -> None:
    close(served)
    assert asker(served).round() == 1
    (message,) = send(served).got
    now_ns = time.time_ns()
    expires_ns = (now_ns // NS + 3600) * NS  # the case is of the past, and so would be its link
    with served.database.transaction() as connection:
        connection.execute(update(schema.feedback).values(expires_ns=expires_ns))
    assert message.text.rpartition("/f/")[2]
    token = open_links(served.config).token(Purpose.FEEDBACK, 1, expires_ns)
    assert reply(served, f"/f/{token}", helped="yes").status == 303
    assert answers(served) == {"asked": 1, "helped": {"yes": 1, "partly": 0, "no": 0}}
    total = served.client("boss").get("figures", **{"from": "2026-03", "to": "2026-03"}).json()["total"]
    assert (total["replied"], total["was_helped"]) == (
        {"count": 1, "of": 1, "percent": None},
        {"count": 1, "of": 1, "percent": None},
    )


def test_two_answers_at_once_are_one(served: Center) -> None:
    alert, path = make_link(served)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda word: reply(served, path, helped=word).status, ["yes", "no", "yes", "no"]))
    assert found == [303] * 4
    assert kinds(served, alert).count("feedback-given") == 1


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "请先选择一个答案"),
        ({"helped": "maybe"}, "请先选择一个答案"),
        ({"helped": "yes", "words": "长" * 501}, "最多 500 个字"),
    ],
)
def test_what_is_no_answer_is_said_on_the_page_and_keeps_the_words(
    served: Center, form: dict[str, str], said: str
) -> None:
    _, path = make_link(served)
    page = reply(served, path, headers={"accept-language": "zh"}, **{"words": "留下的话", **form})
    assert page.status == 422
    assert said in page.data.decode()
    assert form.get("words", "留下的话") in page.data.decode()
    assert stored(served) == [None]


def test_a_link_that_is_expired_altered_or_for_another_purpose_opens_and_changes_nothing(served: Center) -> None:
    alert, path = make_link(served)
    links = open_links(served.config)
    now_ns = time.time_ns()
    later = (now_ns // NS + 3600) * NS
    tokens = [
        links.token(Purpose.FEEDBACK, 1, now_ns - NS),
        links.token(Purpose.VOLUNTEER, 1, later),
        links.token(Purpose.FEEDBACK, 99, later),
        Links(b"another key of thirty-two letters").token(Purpose.FEEDBACK, 1, later),
        path.removeprefix("/f/")[:-1] + "!",
        "x",
    ]
    for token in tokens:
        assert ask(served, f"/f/{token}").status == 404
        assert reply(served, f"/f/{token}", helped="no").status == 404
    assert stored(served) == [None]
    assert "feedback-given" not in kinds(served, alert)


def test_another_site_cannot_answer(served: Center) -> None:
    _, path = make_link(served)
    assert reply(served, path, headers={"sec-fetch-site": "cross-site"}, helped="no").status == 403
    assert stored(served) == [None]
