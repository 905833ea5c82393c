"""The agent's control socket: who may speak at it, what it refuses, and that no client costs the agent anything."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from hearthline.clock import Stamp
from hearthline.commissioning import MAX_REPORT_BYTES
from hearthline.errors import LinkError, RefusedError
from hearthline.model import Reading
from hearthline_edge import control
from hearthline_edge.arrival import Arrival, Source
from hearthline_edge.control import MAX_CLIENTS, MAX_ORDER, MAX_UNREAD, ControlSocket, Conversation, Handler
from hearthline_edge.control_client import ControlClient
from hearthline_edge.devices import Change, DeviceNote, GroupingRule, Press, Readings, Release, Seen, Vital
from hearthline_edge.overhearing import Overhearing

NOW = Stamp(1_760_000_000_000_000_000, 5_000_000_000, "boot", True)
SOURCE = Source("radio", "enocean-esp3", GroupingRule(0.5))


async def _echo(order: dict[str, Any], client: Conversation) -> None:
    client.say({"told": order["text"]})


async def _refuse(order: dict[str, Any], client: Conversation) -> None:
    raise RefusedError("not today")


HANDLERS: dict[str, Handler] = {"echo": _echo, "refuse": _refuse}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what it waits for tells nobody
            await asyncio.sleep(0.001)


@asynccontextmanager
async def serving(path: Path, handlers: dict[str, Handler] | None = None) -> AsyncIterator[ControlSocket]:
    served = ControlSocket(path, handlers if handlers is not None else HANDLERS)
    running = asyncio.ensure_future(served.run())
    await until(lambda: path.exists() or bool(served.fault))
    try:
        yield served
    finally:
        running.cancel()
        await asyncio.wait({running})


def during(path: Path, test: Callable[[ControlSocket], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with serving(path, **options) as served:
            await test(served)

    asyncio.run(run())


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def said(path: Path, payload: bytes) -> list[dict[str, Any]]:
    """Everything that is answered to these bytes until the agent hangs up."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    with suppress(OSError):
        writer.write(payload)
        await writer.drain()
    answer = await reader.read()
    await hang_up(writer)
    return [json.loads(line) for line in answer.splitlines()]


def test_an_order_is_answered_and_only_the_owner_may_give_one(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def test(_: ControlSocket) -> None:
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
        client = ControlClient(path)
        assert await asyncio.to_thread(client.ask, {"do": "echo", "text": "饭"}) == {"told": "饭"}
        with pytest.raises(RefusedError, match="not today"):
            await asyncio.to_thread(client.ask, {"do": "refuse"})

    during(path, test)
    assert not path.exists(), "a stopped agent leaves no socket behind"
    with pytest.raises(LinkError, match="no agent is running"):
        ControlClient(path).ask({"do": "echo", "text": ""})


def test_an_installer_hears_in_his_language_that_no_agent_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    with pytest.raises(LinkError, match="这里没有代理程序在运行"):
        ControlClient(tmp_path / "control.sock").ask({"do": "state"})


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"\n", "no JSON object"),
        (b"[1]\n", "no JSON object"),
        (b"\xff\xfe{}\n", "no JSON object"),
        (b"[" * 50_000 + b"\n", "no JSON object"),
        (b'{"do": "shoot"}\n', "unknown order 'shoot'; there are: echo, refuse"),
        (b'{"do": ["echo"]}\n', "unknown order"),
        (b"{}\n", "unknown order"),
        (b'{"do": "echo", "text": "' + b"x" * MAX_ORDER + b'"}\n', f"at most {MAX_ORDER} bytes"),
    ],
)
def test_a_line_that_is_no_order_is_refused_in_words_and_the_next_client_is_served(
    tmp_path: Path, payload: bytes, told: str
) -> None:
    path = tmp_path / "control.sock"

    async def test(_: ControlSocket) -> None:
        (answer,) = await said(path, payload)
        assert told in answer["error"]
        assert await said(path, b'{"do": "echo", "text": "on"}\n') == [{"told": "on"}]

    during(path, test)


def test_a_report_of_any_size_is_one_order(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def test(_: ControlSocket) -> None:
        text = "x" * MAX_REPORT_BYTES
        assert await said(path, json.dumps({"do": "echo", "text": text}).encode() + b"\n") == [{"told": text}]

    during(path, test)


def test_an_agent_ends_while_a_client_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, listens = tmp_path / "control.sock", asyncio.Event()

    async def listen(order: dict[str, Any], client: Conversation) -> None:
        listens.set()
        await asyncio.Event().wait()

    async def waits_for_every_client(server: asyncio.Server) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.Server, "wait_closed", waits_for_every_client)  # as from Python 3.12 on

    async def run() -> None:
        running = asyncio.ensure_future(ControlSocket(path, {"listen": listen}).run())
        await until(path.exists)
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"do": "listen"}\n')
        await listens.wait()
        running.cancel()
        _, unended = await asyncio.wait({running}, timeout=20)
        assert not unended
        async with asyncio.timeout(20):
            assert await reader.read() == b"", "the client is told by the connection's end"
        await hang_up(writer)
        assert not path.exists()

    asyncio.run(run())


def test_half_an_order_is_nobodys_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ORDER_S", 0.05)
    path = tmp_path / "control.sock"
    asked: list[str] = []

    async def note(order: dict[str, Any], client: Conversation) -> None:
        asked.append(order["do"])

    async def test(_: ControlSocket) -> None:
        assert await said(path, b'{"do": "note"}') == []  # no end of the line, and then nothing

    during(path, test, handlers={"note": note})
    assert not asked


def test_what_a_killed_agent_left_is_replaced_and_what_is_no_socket_too(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    for left in ("socket", "file"):
        if left == "socket":
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(path))
        else:
            path.write_bytes(b"?")
        (tmp_path / ".control.sock.new").touch()  # killed between the two steps
        assert path.exists()

        async def run() -> None:
            served = ControlSocket(path, HANDLERS)
            running = asyncio.ensure_future(served.run())
            answers: list[dict[str, Any]] = []
            while not answers:
                await asyncio.sleep(0.001)
                with suppress(OSError):
                    answers = await said(path, b'{"do": "echo", "text": "new"}\n')
            assert answers == [{"told": "new"}]
            running.cancel()
            await asyncio.wait({running})

        asyncio.run(run())
        assert list(tmp_path.iterdir()) == []


def test_a_folder_whose_path_is_too_long_is_a_fault_with_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 100)
    folder.mkdir()

    async def test(served: ControlSocket) -> None:
        assert "at most 107 bytes" in served.fault
        assert "give data_dir a path of at most" in served.fault

    during(folder / "control.sock", test)


def test_a_folder_that_takes_no_socket_is_a_fault(tmp_path: Path) -> None:
    async def test(served: ControlSocket) -> None:
        assert "cannot be opened" in served.fault

    during(tmp_path / "no" / "such" / "control.sock", test)


def test_no_more_clients_than_there_is_room_for(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def test(_: ControlSocket) -> None:
        held = [await asyncio.open_unix_connection(str(path)) for _ in range(MAX_CLIENTS)]
        await asyncio.sleep(0)
        (answer,) = await said(path, b'{"do": "echo", "text": "one more"}\n')
        assert answer["error"].startswith(f"{MAX_CLIENTS} others")
        for _reader, held_open in held:
            await hang_up(held_open)
        answers: list[dict[str, Any]] = []
        while answers != [{"told": "again"}]:
            with suppress(OSError):
                answers = await said(path, b'{"do": "echo", "text": "again"}\n')

    during(path, test)


def test_a_client_that_leaves_ends_what_was_done_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "FAREWELL_S", 0.01)
    path = tmp_path / "control.sock"
    ended = asyncio.Event()

    async def stay(order: dict[str, Any], client: Conversation) -> None:
        client.say({"here": True})
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    async def test(_: ControlSocket) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"do": "stay"}\n')
        assert json.loads(await reader.readline()) == {"here": True}
        await hang_up(writer)
        async with asyncio.timeout(20):
            await ended.wait()

    during(path, test, handlers={"stay": stay})


def test_the_answer_reaches_a_client_that_has_closed_its_own_direction(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def slowly(order: dict[str, Any], client: Conversation) -> None:
        await asyncio.sleep(0.05)
        client.say({"late": True})

    async def test(_: ControlSocket) -> None:
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b'{"do": "slowly"}\n')
        writer.write_eof()
        assert json.loads(await reader.read()) == {"late": True}
        await hang_up(writer)

    during(path, test, handlers={"slowly": slowly})


def test_a_bug_in_a_handler_is_the_end_of_its_conversation_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    bugs: list[dict[str, Any]] = []

    async def bug(order: dict[str, Any], client: Conversation) -> None:
        raise KeyError("a bug")

    async def test(_: ControlSocket) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: bugs.append(context))
        assert await said(path, b'{"do": "bug"}\n') == []
        assert await said(path, b'{"do": "echo", "text": "on"}\n') == [{"told": "on"}]

    during(path, test, handlers={"bug": bug, "echo": _echo})
    assert [type(each["exception"]) for each in bugs] == [KeyError]


# --- listening -----------------------------------------------------------------------------------------------------


def press(device: str = "enocean:002EE196") -> Arrival:
    return Arrival((Press(device, "AI", "c", "raw", facts=(("rssi_dbm", -60), ("hops", 1))),), NOW)


def test_a_client_that_does_not_read_is_cut_and_the_press_waits_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    ears = Overhearing("gw-1")

    async def test(served: ControlSocket) -> None:
        _, writer = await asyncio.open_unix_connection(str(path), limit=1)
        writer.write(b'{"do": "hear"}\n')
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await until(lambda: bool(ears._hearers))
        longest = 0.0
        for _ in range(MAX_UNREAD // 100):
            began = time.perf_counter()
            ears.arrived(SOURCE, press())
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - began)
        await until(lambda: not ears._hearers)
        assert longest < 1.0, "handing a line to a stuck client must not wait for it"
        await hang_up(writer)
        reader, fresh = await asyncio.open_unix_connection(str(path))
        fresh.write(b'{"do": "hear"}\n')
        assert json.loads(await reader.readline()) == {"hearing": True}
        ears.arrived(SOURCE, press())
        assert json.loads(await reader.readline())["heard"]["button"] == "AI"
        await hang_up(fresh)

    during(path, test, handlers={"hear": ears.hear})


class Listener(Conversation):
    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    def say_line(self, line: bytes) -> None:
        self.heard.append(json.loads(line))


def test_what_each_kind_of_item_is_told_as() -> None:
    items = (
        Press("p", "AI", "c", "raw", facts=(("rssi_dbm", -60), ("battery", 3))),
        Release("p", "AI"),
        Vital("cuff", (("systolic", 120.0), ("diastolic", 80.0)), 2, "", "raw"),
        Readings((Reading("m", "power", 5.0, "W"), Reading("m", "radio_level", -70.0, "dBm"))),
        Change("door", "open", "raw"),
        DeviceNote("p", "low-battery", "2.4 V"),
        Seen("quiet"),
    )
    told: list[dict[str, Any]] = []

    async def run() -> None:
        ears, client = Overhearing("gw-1"), Listener()
        hearing = asyncio.ensure_future(ears.hear({}, client))
        await asyncio.sleep(0)
        ears.arrived(SOURCE, Arrival(items, NOW))
        assert len(client.heard) == 1, "what waits in the event loop goes first"
        await asyncio.sleep(0)
        hearing.cancel()
        await asyncio.wait({hearing})
        ears.arrived(SOURCE, press())
        told.extend(client.heard)
        assert list(ears.last_heard) == ["cuff", "m", "door", "p", "quiet", "enocean:002EE196"]

    asyncio.run(run())
    assert told.pop(0) == {"hearing": True}
    short = [(each["heard"]["device"], each["heard"]["kind"], each["heard"]["values"]) for each in told]
    assert short == [
        ("p", "press", {"battery": 3}),
        ("cuff", "vital", {"systolic": 120.0, "diastolic": 80.0}),
        ("m", "reading", {"power": 5.0, "radio_level": -70.0}),
        ("door", "activity", {"kind": "open"}),
        ("p", "note", {"kind": "low-battery", "detail": "2.4 V"}),
        ("quiet", "seen", {}),
    ]
    first = told[0]["heard"]
    assert (first["button"], first["radio_level"], first["port"], first["driver"]) == (
        "AI",
        -60,
        "radio",
        SOURCE.driver,
    )
    assert (first["event"], first["time"]) == (None, "2025-10-09T08:53:20.000000Z")
    assert told[2]["heard"]["radio_level"] == -70.0


def test_nobody_may_follow_what_never_was() -> None:
    async def run() -> None:
        for event in ("no-such", 5, None):
            with pytest.raises(RefusedError, match="no such event"):
                await Overhearing("gw-1").follow({"event": event}, Listener())

    asyncio.run(run())


def test_the_socket_of_a_stuck_client_takes_no_more_than_its_bound(tmp_path: Path) -> None:
    """The memory that a client can cost: what the kernel holds, and `MAX_UNREAD` and one line of ours."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)

    async def run() -> None:
        _, writer = await asyncio.open_unix_connection(sock=ours)
        conversation = Conversation(writer)
        line = {"text": "x" * 1000}
        for _ in range(5000):
            conversation.say(line)
            assert writer.transport.get_write_buffer_size() <= MAX_UNREAD + 1100
        assert writer.is_closing()
        await asyncio.sleep(0)

    asyncio.run(run())
    theirs.close()
    assert os.path.exists(tmp_path)
