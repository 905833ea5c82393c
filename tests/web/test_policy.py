"""Policies over the API and on the console's page: who may, every problem with its line, two administrators at once."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import insert

from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.alerts.escalation import SHIPPED
from hearthline_cloud.config import ChannelConfig, CloudConfig
from hearthline_cloud.desk import beat
from hearthline_cloud.policy_file import MAX_CHARACTERS, read_policies
from hearthline_cloud.telling import Fault, FaultKind
from web.client import Client
from web.seeding import Center

GOOD = (
    'otherwise = "a"\n[policy.a]\nrepeat_s = 60\nprogress_s = 900\n[[policy.a.step]]\nafter_s = 0\nto = ["everyone"]\n'
)
WRONG = GOOD.replace("repeat_s = 60", "repeat_s = 1").replace("everyone", "channel:gone")


@pytest.fixture
def center(center: Center, monkeypatch: pytest.MonkeyPatch) -> Center:
    """With one channel, as its cloud.toml would have it."""
    made = CloudConfig(
        data_dir=str(center.folder), web=center.config.web, channel=[ChannelConfig(name="duty", kind="webhook")]
    )
    monkeypatch.setattr(Center, "config", made)
    return center


def put(client: Client, version: int, text: str) -> tuple[int, dict[str, Any]]:
    answer = client.request("PUT", "/api/v1/policy", {"version": version, "text": text})
    return answer.status, answer.json()


def test_an_administrator_saves_versions_one_on_top_of_the_other(served: Center) -> None:
    boss = served.client("boss")
    before = boss.get("policy").json()
    assert (before["version"], before["at"], before["by"]) == (0, None, "")
    assert read_policies(before["text"]).policies == SHIPPED
    status, saved = put(boss, 0, GOOD)
    assert (status, saved["version"], saved["by"], saved["text"]) == (200, 1, "boss", GOOD)
    status, conflict = put(boss, 0, GOOD)
    assert (status, conflict["error"]["code"], conflict["error"]["version"]) == (409, "conflict", 1)
    assert conflict["error"]["by"] == "boss"
    assert boss.get("policy").json() == saved


def test_every_problem_is_answered_with_line_and_key_and_nothing_is_saved(served: Center) -> None:
    boss = served.client("boss")
    status, answer = put(boss, 0, WRONG)
    assert (status, answer["error"]["code"]) == (422, "policy")
    assert answer["error"]["problems"] == [
        {"line": 3, "key": "policy.a.repeat_s", "message": "1: must be 30 to 2592000 seconds"},
        {"line": 7, "key": "policy.a.step[0].to[0]", "message": "no [[channel]] of cloud.toml reaches 'channel:gone'"},
    ]
    assert put(boss, 0, "x" * (MAX_CHARACTERS + 1))[0] == 422
    assert boss.get("policy").json()["version"] == 0


def test_who_may(served: Center) -> None:
    mei = served.client("mei")
    assert mei.get("policy").status == 403
    assert put(mei, 0, GOOD)[0] == 403
    assert served.client().get("policy").status == 401
    form = urlencode({"version": 0, "text": GOOD}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert mei.request("POST", "/policy", form, headers).status == 403
    assert "textarea" not in mei.request("GET", "/policy").data.decode()


def test_the_page_keeps_what_was_typed_and_shows_each_problem_beside_its_line(served: Center) -> None:
    boss = served.client("boss")
    headers = {"content-type": "application/x-www-form-urlencoded", "accept-language": "zh"}

    def post(version: int, text: str) -> tuple[int, str]:
        form = urlencode({"version": version, "text": text.replace("\n", "\r\n")}).encode()
        answer = boss.request("POST", "/policy", form, headers)
        return answer.status, answer.data.decode()

    status, page = post(0, WRONG)
    assert status == 422
    for shown in ("第 3 行", "policy.a.repeat_s", "1：必须在 30 到 2592000 秒之间", "repeat_s = 1", "第 7 行"):
        assert shown in page
    assert WRONG.replace('"', "&#34;") in page
    assert post(0, GOOD)[0] == 303
    assert boss.get("policy").json()["text"] == GOOD
    status, page = post(0, GOOD + "# mine\n")
    assert (status, "boss 刚才保存了第 1 版" in page, "# mine" in page) == (409, True, True)
    assert 'name="version" value="1"' in page
    assert post(1, GOOD + "# mine\n")[0] == 303


def tell(center: Center, *faults: Fault, age_s: float = 0) -> None:
    detail = {"channels": [], "policy": 0, "faults": [fault.as_row() for fault in faults]}
    with center.database.transaction() as connection:
        beat(connection, "escalation", time.time_ns() - round(age_s * NS), detail)


def test_what_stands_in_the_way_of_telling_people_is_told(served: Center) -> None:
    boss = served.client("boss")

    def ready() -> tuple[int, dict[str, Any]]:
        served.heartbeat()
        answer = boss.request("GET", "/readyz")
        return answer.status, answer.json()

    gap = Fault(FaultKind.GAP, {"schedule": "night", "begin": "2026-11-22 07:00", "end": "2026-11-22 19:00"})
    tell(served, Fault(FaultKind.NO_CHANNEL, {}), gap)
    status, told = ready()
    assert (status, told["parts"]["escalation"]) == (200, "ok")
    assert told["warnings"] == [
        "no channel is configured: nobody is told but the console",
        "schedule night: nobody is on duty from 2026-11-22 07:00 to 2026-11-22 19:00; everyone is told then",
    ]
    for path, language, shown in (
        ("/homes", "en", "No channel is configured"),
        ("/homes", "zh", "值班表 night：2026-11-22 07:00 至 2026-11-22 19:00 无人值班"),
        ("/policy", "zh", "没有配置任何通知渠道"),
        ("/fragments/homes", "en", "nobody is on duty from 2026-11-22 07:00"),
    ):
        page = boss.request("GET", path, headers={"accept-language": language}).data.decode()
        assert shown in page, path


def test_a_policy_that_cannot_be_used_and_an_escalation_that_is_dead_are_not_ready(served: Center) -> None:
    boss = served.client("boss")
    served.heartbeat()
    tell(served, Fault(FaultKind.POLICY, {"newest": "3", "version": "2", "problem": "1: x"}), age_s=40)
    answer = boss.request("GET", "/readyz")
    parts = answer.json()["parts"]
    assert (answer.status, parts["escalation"]) == (503, "not heard for 30 s")
    assert parts["policy"] == "policy version 3 cannot be used, version 2 holds instead: line 1: x"
    assert "第 3 版规则无法使用" in boss.request("GET", "/homes", headers={"accept-language": "zh"}).data.decode()


def test_the_page_shows_a_stored_text_as_it_is(served: Center) -> None:
    text = '# <script>alert(1)</script> "x" & \n' + GOOD
    with served.database.transaction() as connection:
        connection.execute(insert(schema.policy).values(version=1, at_ns=NS, saved_by="boss", text=text))
    page = served.client("boss").request("GET", "/policy").data.decode()
    assert "<script>alert(1)" not in page
    assert "# &lt;script&gt;alert(1)" in page
