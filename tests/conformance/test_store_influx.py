"""What only an InfluxDB 1.x does: types in conflict, limits, logins, a missing database, strangers on its port."""

from __future__ import annotations

import base64
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
import urllib3

from hearthline.errors import ConfigError, LinkError
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.store import Point, SeriesQuery
from hearthline_cloud.store.influx import InfluxStore
from hearthline_cloud.store.influx_text import line, line_head, select
from secret_files import write_secret
from servers import Influxd, influxd

START_NS = 1_790_000_000_000_000_000
SECOND = 1_000_000_000
integration = pytest.mark.integration


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Influxd]:
    with influxd(tmp_path) as running:
        yield running


@contextmanager
def store_at(url: str, timeout_s: float = 5.0, **keys: str) -> Iterator[InfluxStore]:
    tree = {"kind": "influxdb", "url": url, "timeout_s": timeout_s, "raw_days": 0} | keys  # START_NS grows old
    with closing(InfluxStore(msgspec.convert(tree, StoreConfig))) as store:
        yield store


def point(index: int, quantity: str = "power", device: str = "d1") -> Point:
    return Point(quantity, "c1", "h1", "g1", device, float(index), START_NS + index * SECOND)


def everything(quantity: str = "power") -> SeriesQuery:
    return SeriesQuery(quantity, 0, 2**63 - 1)


def by_hand(server: Influxd, path: str, body: str, login: str | None = None) -> bytes:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if login is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode('ascii')}"
    with urllib3.PoolManager(retries=False, timeout=5.0) as pool:
        answer = pool.request("POST", f"{server.url}{path}", body=body.encode(), headers=headers)
        assert answer.status in (200, 204), answer.data
        return answer.data


@contextmanager
def stranger(reply: bytes) -> Iterator[str]:
    """Something on a port that answers every connection with `reply`, or with silence; gives its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        done = threading.Event()

        def serve() -> None:
            kept = []
            while not done.is_set():
                try:
                    kept.append(listener.accept()[0])
                except TimeoutError:
                    continue
                kept[-1].settimeout(60.0)
                kept[-1].recv(65536)
                kept[-1].sendall(reply)
                if reply:
                    with kept.pop() as answered:
                        answered.shutdown(socket.SHUT_WR)
                        while answered.recv(65536):  # else what is unread makes the end a reset
                            pass
            for each in kept:
                each.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            thread.join(60)


@integration
def test_a_type_conflict_is_refused_alone(server: Influxd) -> None:
    """One shard of `power` has been spoilt by hand with a text: its points are refused for ever, nothing else is."""
    with store_at(server.url) as store:
        store.check()
        by_hand(server, "/write?db=hearthline", f'power,device=x value="text" {START_NS}')
        good = [point(index, quantity) for index in range(100) for quantity in ("voltage", "current")]
        spoilt = [point(index) for index in range(7)]
        batch = [*good[:50], *spoilt[:3], *good[50:120], *spoilt[3:], *good[120:]]
        refused = store.write(batch)
        assert sorted(each.time_ns for each, _ in refused) == [each.time_ns for each in spoilt]
        assert all("field type conflict" in reason for _, reason in refused)
        for quantity in ("voltage", "current"):
            assert [sample.value for sample in store.read(everything(quantity))] == [float(i) for i in range(100)]
        assert store.read(everything()) == []  # a text written by somebody else is no sample


@integration
def test_a_thousand_bad_points_stay_bounded(server: Influxd) -> None:
    with store_at(server.url) as store:
        store.check()
        by_hand(server, "/write?db=hearthline", f'power,device=x value="text" {START_NS}')
        began = time.monotonic()
        assert len(store.write([point(index) for index in range(1000)])) == 1000
        assert time.monotonic() - began < 30


@integration
def test_a_full_store_refuses_nothing_for_ever(tmp_path: Path) -> None:
    with influxd(tmp_path, data_options={"max-series-per-database": 3}) as server, store_at(server.url) as store:
        assert store.write([point(0, device=f"d{index}") for index in range(3)]) == []
        with pytest.raises(LinkError, match=r"max-series-per-database.*raise that limit"):
            store.write([point(1, device=f"d{index}") for index in range(4)])
        assert store.write([point(2, device="d1")]) == []


@integration
def test_a_batch_that_is_too_large_goes_in_halves(tmp_path: Path) -> None:
    with influxd(tmp_path, http_options={"max-body-size": 20_000}) as server, store_at(server.url) as store:
        assert store.write([point(index) for index in range(5000)]) == []
        assert len(store.read(everything())) == 5000


@integration
def test_the_database_is_made_again_when_somebody_dropped_it(server: Influxd) -> None:
    with store_at(server.url, database='care "home" 院') as store:
        for _ in range(2):
            assert store.read(everything()) == []
            assert store.write([point(1)]) == []
            assert len(store.read(everything())) == 1
            by_hand(server, "/query", "q=" + 'DROP DATABASE "care \\"home\\" 院"'.replace(" ", "+"))


@integration
def test_logins(tmp_path: Path) -> None:
    secret = write_secret(tmp_path / "secret", "pass wörd:1\n")
    reader_secret = write_secret(tmp_path / "reader", "r")
    with influxd(tmp_path, auth=True) as server:
        create = "CREATE USER admin WITH PASSWORD 'pass wörd:1' WITH ALL PRIVILEGES"
        by_hand(server, "/query", "q=" + create.replace(" ", "+"))
        with store_at(server.url, username="admin", password_file=str(secret)) as store:
            store.check()
            assert store.write([point(1)]) == []
        for statement in ("CREATE USER reader WITH PASSWORD 'r'", "GRANT READ ON hearthline TO reader"):
            by_hand(server, "/query", "q=" + statement.replace(" ", "+"), "admin:pass wörd:1")
        with store_at(server.url) as store, pytest.raises(LinkError, match=r"401.*store\.password_file"):
            store.write([point(2)])
        with (
            store_at(server.url, username="reader", password_file=str(reader_secret)) as store,
            pytest.raises(LinkError, match=r"403.*grant the login"),
        ):
            store.check()


def test_a_frozen_server_is_a_link_error_in_time() -> None:
    with stranger(b"") as url, store_at(url, timeout_s=0.3) as store:
        began = time.monotonic()
        with pytest.raises(LinkError, match=r"http://127.*did not answer within 0\.3 s"):
            store.write([point(1)])
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    "head",
    [
        "204 No Content",
        "400 Bad Request",
        "500 Oops",
        "503 Busy",
        "200 OK",
        "302 Found\r\nLocation: /x",
        "404 Not Found",
    ],
)
def test_what_a_stranger_says_is_never_a_refusal(head: str) -> None:
    reply = f"HTTP/1.1 {head}\r\nConnection: close\r\n\r\n{'' if head.startswith('204') else 'hello'}".encode()
    with stranger(reply) as url, store_at(url) as store:
        for call in (lambda: store.write([point(1), point(2)]), lambda: store.read(everything()), store.check):
            with pytest.raises(LinkError, match=f"{url} .*;"):
                call()


@pytest.mark.parametrize("reply", [b"HTTP/1.1 204 No Con", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", b"?"])
def test_half_an_answer_is_a_link_error(reply: bytes) -> None:
    with stranger(reply) as url, store_at(url) as store:
        with pytest.raises(LinkError):
            store.write([point(1)])
        with pytest.raises(LinkError):
            store.read(everything())


FIRST = (
    b'{"results":[{"statement_id":0,"series":[{"name":"power","columns":["time","value","community","home","gateway",'
    b'"device","resident"],"values":[[1790000000000000000,1.5,"c","h","g","d",null]],"partial":true}],"partial":true}]}\n'
)


def chunked(*documents: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """An answer as InfluxDB sends it, one piece a document."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in documents) + end


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (chunked(FIRST), "cut its answer short"),
        (chunked(FIRST, b'{"results":[{"error":"timeout reached"}]}\n'), "could not answer: timeout reached"),
        (chunked(FIRST, b'{"error":"out of memory"}\n'), "could not answer: out of memory"),
        (chunked(FIRST, end=b""), "broke off in the middle of an answer"),
        (chunked(FIRST, FIRST[:90]), "not its own"),
        (chunked(b'{"results":[]}\n'), "answered a query with nothing"),
        (chunked(FIRST.replace(b'"time"', b'"name"')), "must answer InfluxQL"),
    ],
)
def test_an_answer_that_is_not_whole_is_a_link_error(reply: bytes, said: str) -> None:
    with stranger(reply) as url, store_at(url) as store, pytest.raises(LinkError, match=f"{url} .*;") as caught:
        store.read(everything())
    assert said in str(caught.value)


def test_lines_of_chunks_may_arrive_in_any_pieces() -> None:
    last = FIRST.replace(b',"partial":true', b"").replace(b"1.5", b"2.5")
    for size in (1, 7, 1000):
        body = FIRST + last
        with (
            stranger(chunked(*(body[at : at + size] for at in range(0, len(body), size)))) as url,
            store_at(url) as store,
        ):
            assert [sample.value for sample in store.read(everything())] == [1.5, 2.5]


def test_a_large_answer_is_read_in_bounded_memory() -> None:
    """Windows are limited for each series by the server: here eight times what was asked for."""
    row = b'[%d,1.5,"c","h","g","d",null]'
    rows = b",".join(row % (START_NS + index * SECOND) for index in range(5000))
    document = FIRST[: FIRST.index(b"[[")] + b"[" + rows + b'],"partial":true}],"partial":true}]}\n'
    reply = chunked(*[document] * 7, document.replace(b',"partial":true', b""))
    with stranger(reply) as url, store_at(url) as store:
        tracemalloc.start()
        samples = store.read(SeriesQuery("power", 0, 2**63 - 1, limit=1000))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert [sample.time_ns for sample in samples] == [START_NS + index // 8 * SECOND for index in range(1000)]
    assert peak < 12e6  # a chunk of 5000 rows takes 5 MB as objects


@integration
def test_a_row_limit_of_the_server_cuts_nothing(tmp_path: Path) -> None:
    with influxd(tmp_path, http_options={"max-row-limit": 100}) as server, store_at(server.url) as store:
        assert store.write([point(index, device=f"d{index % 3}") for index in range(1000)]) == []
        assert [sample.value for sample in store.read(everything())] == [float(index) for index in range(1000)]
        windows = SeriesQuery("power", START_NS, START_NS + 1000 * SECOND, window_ns=SECOND, aggregate="last")
        assert len(store.read(windows)) == 1000


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8086", "ftp://x", "http://", "http://u:secret@x:8086", "http://x/?db=1", "http://[::1"]
)
def test_wrong_urls_name_their_key(url: str) -> None:
    with pytest.raises(ConfigError, match=r"store\.url") as caught:
        InfluxStore(StoreConfig(kind="influxdb", url=url))
    assert "secret" not in str(caught.value)


def test_lines() -> None:
    head = line_head(("po wer,x", "a,b", "c d", "e=f", "g\\", ""))
    assert head == r"po\ wer\,x,community=a\,b,home=c\ d,gateway=e\=f,device=g%5C"
    assert line(head, 0.1, 5) == head + " value=0.1 5"
    assert line_head(("#x\n", "", "", "", "", "")) == "%23x%0A"


def test_queries_quote_what_they_are_given() -> None:
    query = SeriesQuery('po"wer', 1, 2, limit=3, device="o'clock", newest_first=True)
    assert select(query) == (
        'SELECT "value", "community", "home", "gateway", "device", "resident" FROM "po\\"wer" '
        "WHERE \"device\" = 'o\\'clock' AND time >= 1 AND time < 2 ORDER BY time DESC LIMIT 3"
    )
