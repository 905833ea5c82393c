"""Whose policy an alert has: by its kind, its cause and its community, in the file's order, down to who is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert

from cloud_center import Cloud, TestGateway
from hearthline.clock import NS
from hearthline_cloud import schema
from hearthline_cloud.alerts.escalation import Reach
from hearthline_cloud.escalating import escalate_once
from hearthline_cloud.policy_file import read_policies
from personal_rows import put

TWO_COMMUNITIES = """otherwise = "rest"
[[rule]]
policy = "west"
kind = "emergency"
community = "com-2"
[[rule]]
policy = "fire"
cause = "smoke"
[[rule]]
policy = "east"
kind = "emergency"
community = "com-1"
""" + "".join(
    f"""
[policy.{name}]
repeat_s = 600
progress_s = 900
[[policy.{name}.step]]
after_s = 0
to = ["{target}"]
"""
    for name, target in (
        ("west", "schedule:night"),
        ("fire", "everyone"),
        ("east", "channel:street"),
        ("rest", "contact"),
    )
)
ON_DUTY = """
[schedule.night]
zone = "Asia/Shanghai"
[[schedule.night.shift]]
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
from = 00:00:00
to = 12:00:00
staff = ["mei"]
[[schedule.night.shift]]
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
from = 12:00:00
to = 00:00:00
staff = ["jun"]
"""
EACH_A_CHANNEL = (
    Reach("mei's", frozenset({"mei"})),
    Reach("jun's", frozenset({"jun"})),
    Reach("street"),
    Reach("family", contacts=True),
)


@pytest.mark.parametrize(
    ("kind", "cause", "community", "policy"),
    [
        ("emergency", "press", "com-1", "east"),
        ("emergency", "press", "com-2", "west"),
        ("emergency", "press", "com-3", "rest"),
        ("emergency", "press", "", "rest"),  # of a home that nobody knows
        ("emergency", "smoke", "com-1", "fire"),
        ("emergency", "smoke", "com-2", "west"),  # the first rule that fits counts
        ("service", "press", "com-2", "rest"),
        ("gateway-silent", "press", "com-1", "rest"),
    ],
)
def test_a_policy_is_by_kind_cause_and_community(kind: str, cause: str, community: str, policy: str) -> None:
    policies = read_policies(TWO_COMMUNITIES + ON_DUTY, EACH_A_CHANNEL).policies
    assert policies is not None
    assert policies.policy_for(kind, cause, community).name == policy


def test_each_community_is_told_by_its_own_policy_and_by_who_is_on_duty(cloud: Cloud) -> None:
    """Two communities and nobody's home, on both databases, at eight in the evening, when jun is on duty."""
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.community).values(id="com-2", name="West"))
        put(connection, schema.home, id="home-9", community_id="com-2", name="home-9")
        connection.execute(insert(schema.gateway).values(id="gw-9", home_id="home-9"))
    stray, west = TestGateway("gw-stray"), TestGateway("gw-9")
    cloud.take(cloud.gateway.press(), west.message(west.press()), stray.message(stray.press()))
    policies = read_policies(TWO_COMMUNITIES + ON_DUTY, EACH_A_CHANNEL).policies
    assert policies is not None
    evening = datetime.now(ZoneInfo("Asia/Shanghai")).replace(hour=20, minute=0) + timedelta(days=1)
    now_ns = round(evening.timestamp()) * NS
    while escalate_once(cloud.database, policies, EACH_A_CHANNEL, now_ns):
        pass
    gateways = {row.id: row.gateway_id for row in cloud.rows(schema.alert)}
    told = {(gateways[row.alert_id], row.channel) for row in cloud.rows(schema.notification)}
    assert {each for each in told if each[0] != "gw-stray"} == {("gw-1", "street"), ("gw-9", "jun's")}
    assert ("gw-stray", "street") in told, "nobody's home has no contact: a step is never silent for that"
    fired = [row.alert_id for row in cloud.rows(schema.escalation) if row.fired_ns is not None]
    assert sorted(fired) == sorted(gateways)
