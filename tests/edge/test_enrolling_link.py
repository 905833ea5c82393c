"""What may answer at a center's address, over real sockets: the center in its moods, and everything that is not it."""

from __future__ import annotations

import base64
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from hearthline_cloud.identity.authority import Authority, make_issuing, make_root, utc_now
from hearthline_edge.enrolling_link import PATH, PATIENCE_S, Words, ask, checked_center, trust
from hearthline_edge.enrolling_texts import EnrolError
from servers import HOST, free_ports

WORDS = Words("ABCDEF", "request", "00" * 64)
SEALED = json.dumps({"sealed": base64.b64encode(b"sealed").decode()}).encode()
Answer = tuple[int, bytes, dict[str, str]]


def refusal(code: str, message: str = "no") -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


class Server(http.server.ThreadingHTTPServer):
    """Gives the answers in their order, the last one for ever; `heard`: what it was sent."""

    def __init__(self, answers: list[Answer]) -> None:
        self.answers, self.heard = answers, list[tuple[str, dict[str, Any]]]()
        super().__init__((HOST, 0), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        body = self.rfile.read(int(self.headers["content-length"]))
        server.heard.append((self.path, json.loads(body)))
        status, content, headers = server.answers[min(len(server.heard), len(server.answers)) - 1]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None: ...


@contextmanager
def serving(*answers: Answer, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(list(answers))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asked(server: Server, scheme: str = "http", ca_file: Path | None = None) -> tuple[bytes, list[float]]:
    pauses: list[float] = []
    center = f"{scheme}://{HOST}:{server.server_address[1]}"
    return ask(center, trust(ca_file), WORDS, lambda line: None, pauses.append, lambda: sum(pauses)), pauses


def told(*answers: Answer) -> str:
    with serving(*answers) as server, pytest.raises(EnrolError) as refused:
        asked(server)
    assert len(str(refused.value)) < 600
    return refused.value.key


def test_it_waits_until_the_desk_has_signed() -> None:
    waiting: Answer = (202, b'{"sealed":""}', {"retry-after": "2"})
    with serving(waiting, (429, b"", {"retry-after": "7"}), (503, b"", {}), (200, SEALED, {})) as server:
        assert asked(server) == (b"sealed", [2.0, 7.0, 1.0])
    assert server.heard == [(PATH, {"offer": "ABCDEF", "request": "request", "proof": "00" * 64})] * 4


@pytest.mark.parametrize(("status", "key"), [(202, "unsigned"), (429, "busy"), (503, "busy")])
def test_it_does_not_wait_for_ever(status: int, key: str) -> None:
    with serving((status, b"{}", {"retry-after": "999999"})) as server, pytest.raises(EnrolError) as refused:
        asked(server)
    assert refused.value.key == key
    assert len(server.heard) <= PATIENCE_S / 30 + 1


def test_the_time_of_the_attempts_counts() -> None:
    """A center that takes 20 s over each word of "not yet", and asks for a second's patience each time."""
    past: list[float] = []
    with serving((202, b"{}", {})) as server:
        address = f"http://{HOST}:{server.server_address[1]}"

        def clock() -> float:
            return sum(past) + 20.0 * len(server.heard)

        with pytest.raises(EnrolError) as refused:
            ask(address, trust(None), WORDS, lambda line: None, past.append, clock)
    assert (refused.value.key, len(server.heard), past) == ("unsigned", 5, [1.0] * 4)


def test_an_answer_that_comes_in_drops_ends_with_the_patience() -> None:
    drops = 0

    def drip() -> None:
        nonlocal drops
        with listening.accept()[0] as link, suppress(OSError):
            link.recv(65536)
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while True:
                link.sendall(b" ")
                drops += 1

    with socket.create_server((HOST, 0)) as listening:
        thread = threading.Thread(target=drip)
        thread.start()
        address = f"http://{HOST}:{listening.getsockname()[1]}"
        with pytest.raises(EnrolError) as refused:
            ask(address, trust(None), WORDS, lambda line: None, clock=lambda: 1000.0 * (drops > 0))
        thread.join(10)
    assert refused.value.key == "unreachable"


@pytest.mark.parametrize("code", ["unknown", "used", "expired", "withdrawn", "locked", "bundle"])
def test_what_the_center_refuses_is_told_in_words_of_ours(code: str) -> None:
    assert told((403, refusal(f"enrolment-{code}"), {})) == f"enrolment-{code}"


@pytest.mark.parametrize("code", ["enrolment-refused", "refused", "enrolment-next-year", "full"])
def test_other_refusals_are_told_in_the_centers_words(code: str) -> None:
    answer: Answer = (403, refusal(code, "gw-1 is\x1b[31m gone" + "x" * 1000), {})
    with serving(answer) as server, pytest.raises(EnrolError) as refused:
        asked(server)
    assert refused.value.key == "said"
    assert "gw-1 is[31m gone" in str(refused.value)
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>log in to this network</html>", {}),
        (200, b"", {}),
        (200, b'{"sealed": 7}', {}),
        (200, b'{"sealed": "no base64!"}', {}),
        (200, b"[" * 100_000, {}),
        (200, b"x" * (1024 * 1024 + 1), {}),
        (302, b"", {"location": "http://elsewhere/"}),
        (404, b"<html>", {}),
        (403, b"[]", {}),
        (500, b"\xff\xfe", {}),
    ],
    ids=["portal", "empty", "number", "base64", "deep", "long", "redirect", "html", "list", "bytes"],
)  # fmt: skip
def test_what_is_not_the_center_is_told_from_it(answer: Answer) -> None:
    assert told(answer) == "not_center"


def test_what_speaks_no_http(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as listening:

        def answer() -> None:
            with listening.accept()[0] as link:
                link.recv(65536)
                link.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(EnrolError) as refused:
            ask(f"http://{HOST}:{listening.getsockname()[1]}", trust(None), WORDS, lambda line: None)
        thread.join()
    assert refused.value.key == "not_center"


def test_nobody_there() -> None:
    (port,) = free_ports(1)
    for center in (f"http://{HOST}:{port}", "http://no-such-host.invalid", f"http://{'a' * 70}.example"):
        with pytest.raises(EnrolError) as refused:
            ask(center, trust(None), WORDS, lambda line: None)
        assert refused.value.key == "unreachable"


def test_a_certificate_that_nobody_knows_and_one_that_is_given(tmp_path: Path) -> None:
    make_root(tmp_path / "root", "East", utc_now())
    make_issuing(tmp_path / "pki", tmp_path / "root", "East", utc_now())
    made, key = Authority(tmp_path / "pki", utc_now()).issue_server([HOST], utc_now())
    (tmp_path / "server.pem").write_bytes(made.pem + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    with serving((200, SEALED, {}), context=context) as server:
        with pytest.raises(EnrolError) as refused:
            asked(server, "https")
        assert refused.value.key == "not_trusted"
        assert asked(server, "https", tmp_path / "root" / "root.crt")[0] == b"sealed"
        (tmp_path / "no.crt").write_text("no certificate")
        for file in (tmp_path / "no.crt", tmp_path / "absent"):
            with pytest.raises(EnrolError, match="--ca-file"):
                asked(server, "https", file)
        with pytest.raises(EnrolError):
            asked(server, "http")


@pytest.mark.parametrize(
    "center",
    ["center.example.org", "ftp://h", "https://", "https://u:p@h", "https://h/path", "https://h?x", "https://h:99999",
     "https://h:x", "https://a b", "https://h\n", "https://中心", "https://[::1", "mqtt://h:8883"],
)  # fmt: skip
def test_what_is_no_address_of_a_center(center: str) -> None:
    with pytest.raises(EnrolError) as refused:
        checked_center(center)
    assert refused.value.key == "bad_center"


def test_addresses_of_a_center() -> None:
    assert checked_center("https://center.example.org/") == "https://center.example.org"
    assert checked_center("http://[::1]:8080") == "http://[::1]:8080"
    with pytest.raises(EnrolError) as refused:
        checked_center("")
    assert refused.value.key == "no_center"
