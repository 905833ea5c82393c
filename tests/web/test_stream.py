"""The live stream: at once, without gaps, and over when the session is."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing

import httpx
import pytest
from sqlalchemy import delete, update

from hearthline_cloud import journal, schema
from hearthline_cloud.api import follow
from web.seeding import PASSWORD, Center


def test_a_commit_is_on_the_wire_within_milliseconds(served: Center) -> None:
    stream = served.client("mei").stream()
    assert stream.next() is not None
    delays = []
    for ordinal in range(1, 21):
        alert = served.press(ordinal=ordinal)
        committed = time.monotonic()
        message = stream.journal()
        delays.append(time.monotonic() - committed)
        assert message is not None
        assert message["kind"] == ("raised" if ordinal == 1 else "joined")
        assert message["alert"]["id"] == alert
        assert message["event"]["ordinal"] == ordinal
    assert sorted(delays)[10] < 0.05, delays
    stream.close()


def test_what_a_message_says(served: Center) -> None:
    stream = served.client("mei").stream()
    served.press(ordinal=3)
    message = stream.journal()
    assert message is not None
    alert, event = message["alert"], message["event"]
    assert (alert["kind"], alert["state"], alert["presses"], alert["version"]) == ("emergency", "raised", 1, 1)
    assert (alert["home"], alert["home_name"], alert["room"]) == ("h-1", "3号楼 502室", "卧室")
    assert (event["device"], event["gateway"], event["ordinal"]) == ("enocean:01a2b3c4", "gw-east-1", 3)
    text = str(message)
    for personal in ("王秀兰", "梧桐路", "高血压", "5550-0142"):
        assert personal not in text
    stream.close()


def test_a_notes_words_stay_on_the_alerts_page(served: Center) -> None:
    alert = served.press()
    mei = served.client("mei")
    stream = mei.stream()
    mei.post(f"alerts/{alert}/notes", {"text": "心脏病发作"})
    message = stream.journal()
    assert message is not None
    assert (message["kind"], message["actor"], message["detail"]) == ("note", "mei", {})
    stream.close()


def test_whoever_comes_back_with_the_last_id_misses_nothing(served: Center) -> None:
    mei = served.client("mei")
    stream = mei.stream(after=0)
    for ordinal in range(1, 6):
        served.press(ordinal=ordinal)
    seen = [stream.journal() for _ in range(3)]
    stream.close()
    served.press(ordinal=6)
    last = seen[-1]
    assert last is not None
    again = mei.stream(after=last["journal"])
    served.press(ordinal=7)
    ordinals = [message["event"]["ordinal"] for message in (again.journal() for _ in range(4)) if message]
    assert ordinals == [4, 5, 6, 7]
    again.close()


def test_a_long_backlog_comes_whole_and_in_order(served: Center) -> None:
    with served.database.transaction() as connection:
        for number in range(1300):
            journal.append(connection, "gateway", number, {})
    stream = served.client("mei").stream(after=0)
    keys = [message["journal"] for message in (stream.journal() for _ in range(1300)) if message]
    assert keys == list(range(keys[0], keys[0] + 1300))
    stream.close()


def test_the_heartbeat_says_whether_the_ingester_lives(served: Center) -> None:
    served.heartbeat()
    stream = served.client("mei").stream()
    started = time.monotonic()
    seen = [stream.next() for _ in range(2)]
    assert time.monotonic() - started < 4.5
    for message in seen:
        assert message is not None
        name, key, data = message
        assert (name, key) == ("heartbeat", None)
        assert (data["ingest"], data["broker"], data["store"]) == (True, True, True)
        assert data["now"].endswith("Z")
    stream.close()


@pytest.mark.parametrize("how", ["logout", "account deleted", "role changed", "expired"])
def test_the_stream_ends_within_a_second_of_the_session(served: Center, how: str) -> None:
    boss = served.client("boss")
    stream = boss.stream()
    assert stream.next() is not None
    with served.database.transaction() as connection:
        if how == "account deleted":
            connection.execute(delete(schema.session))
            connection.execute(delete(schema.known_device))
            connection.execute(delete(schema.staff).where(schema.staff.c.name == "boss"))
        if how == "role changed":
            connection.execute(update(schema.staff).values(role="operator"))
        if how == "expired":
            connection.execute(update(schema.session).values(expires_ns=time.time_ns()))
    if how == "logout":
        assert boss.post("logout").status == 204
    ended = time.monotonic()
    while stream.next() is not None:
        pass
    assert time.monotonic() - ended < 1.0


def test_a_stopping_server_ends_its_streams_at_once(center: Center) -> None:
    with center.serving():
        stream = center.client("mei").stream()
        assert stream.next() is not None
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 2
    assert stream.next() is None


def test_a_listener_that_lags_reads_the_rest_from_the_database(center: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "_RECENT", 10)
    with center.serving():
        mei = center.client("mei")
        stream = mei.stream()
        assert stream.next() is not None
        with center.database.transaction() as connection:
            for number in range(700):
                journal.append(connection, "gateway", number, {})
        center.waker.wake("web")
        keys = [message["journal"] for message in (stream.journal() for _ in range(700)) if message]
        assert keys == list(range(keys[0], keys[0] + 700))
        again = mei.stream(after=keys[-6])
        assert [message["journal"] for message in (again.journal() for _ in range(5)) if message] == keys[-5:]
        again.close()
        stream.close()


def test_nobody_is_attached_before_the_end_of_the_journal_is_known(center: Center) -> None:
    """Else a listener without a cursor would be told the whole journal."""
    center.press()
    token, session = center.people.log_in("mei", PASSWORD, "here", time.time_ns())
    app = center.app()
    follower: follow.Follower = app.state.parts.follower
    headers = {"authorization": f"Bearer {token}"}

    async def look() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=center.url) as client:
            answer = await client.get("/api/v1/stream", headers=headers)
        assert answer.status_code == 503
        assert "journal" in answer.json()["error"]["message"]
        task = asyncio.create_task(follower.run())
        await asyncio.wait_for(follower.started.wait(), 5)
        listener = follower.attach(session, None)
        assert listener is not None
        assert listener.cursor == 1
        task.cancel()
        await asyncio.wait([task])

    with closing(app.state.parts.waker):
        asyncio.run(look())
