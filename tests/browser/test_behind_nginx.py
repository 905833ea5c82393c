"""The console through the sample reverse proxy: real nginx with TLS and HTTP/2, real Chromium."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import urllib3
from playwright.sync_api import Browser, expect

from browser.proxied import NAME, Proxied, behind_nginx, machine
from web.seeding import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.integration]


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    made = Proxied(tmp_path_factory.mktemp("center"))
    made.populate()
    with made.beating(), made.serving(), behind_nginx(made, client_header_timeout="1s", client_body_timeout="1s"):
        yield made
    made.close()


def test_eight_tabs_at_once_over_http2(browser: Browser, proxied: Proxied) -> None:
    context = browser.new_context(ignore_https_errors=True, locale="en-GB")
    first = context.new_page()
    first.goto(proxied.outside)
    first.fill("#name", "mei")
    first.fill("#password", PASSWORD)
    first.keyboard.press("Enter")
    expect(first.locator("body")).to_have_attribute("data-link", "live", timeout=15_000)
    assert first.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
    cookies = {cookie["name"]: cookie for cookie in context.cookies()}
    assert {"__Host-hearthline_session", "__Host-hearthline_device"} <= set(cookies)
    ours = [cookie for name, cookie in cookies.items() if name.startswith("__Host-")]
    assert all(cookie["secure"] and cookie["httpOnly"] for cookie in ours)

    pages = [first, *(context.new_page() for _ in range(7))]
    for page in pages[1:]:
        page.goto(proxied.outside)
    for page in pages:
        expect(page.locator("body")).to_have_attribute("data-link", "live", timeout=15_000)
    alert = proxied.press()
    for page in pages:
        expect(page.locator(f'a[href="/alerts/{alert}"]').first).to_be_visible(timeout=15_000)
    last = pages[-1]
    last.goto(f"{proxied.outside}/alerts/{alert}")
    expect(last.locator("body")).to_have_attribute("data-link", "live", timeout=15_000)
    with last.expect_response(lambda answer: answer.url.endswith("/acknowledge")) as answered:
        last.locator('button[data-act="acknowledge"]').first.click()
    assert answered.value.status == 200
    context.close()


def test_headers_and_the_way_to_tls(proxied: Proxied) -> None:
    client = machine(proxied)
    answer = client.request("GET", "/login", headers={"accept": "text/html"})
    assert answer.status == 200
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"\d", answer.headers["server"]), "no version"
    plain = urllib3.PoolManager(retries=False).request(
        "GET", f"http://{NAME}:{proxied.ports[1]}/alerts/1?x=1", redirect=False
    )
    assert (plain.status, plain.headers["location"]) == (301, f"{proxied.outside}/alerts/1?x=1")
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.request("GET", path).status == 404


def test_what_is_live_is_not_held_back(proxied: Proxied) -> None:
    client = machine(proxied, "mei")
    headers = {"authorization": f"Bearer {client.token}"}
    with urllib3.PoolManager(retries=False, ssl_context=proxied.trust) as pool:
        stream = pool.request(
            "GET", f"{proxied.outside}/api/v1/stream", headers=headers, preload_content=False, timeout=10
        )
        assert b"retry" in stream.read1()
        time_before = time.monotonic()
        alert = proxied.press()
        told = b""
        while b"event: journal" not in told:
            told += stream.read1()
        assert f'"id":{alert}'.encode() in told
        assert time.monotonic() - time_before < 5
        stream.close()


def test_an_address_that_a_client_makes_up_is_not_believed(proxied: Proxied) -> None:
    """Twenty wrong links a minute from one address: with another made-up one each time it is still the same."""
    client = machine(proxied)
    statuses = [
        client.request(
            "GET", f"/f/{number:044d}", headers={"x-forwarded-for": f"203.0.113.{number}", "forwarded": "for=192.0.2.9"}
        ).status
        for number in range(22)
    ]
    assert statuses == [404] * 20 + [429] * 2
    assert "/f/0" not in proxied.log
    assert " /f/- " in proxied.log


def test_large_requests_are_refused_at_the_door(proxied: Proxied) -> None:
    client = machine(proxied, "mei")
    body = b'{"text": "' + b"x" * 66_000 + b'"}'
    assert client.request("POST", "/api/v1/alerts/1/notes", body).status == 413
    assert client.request("GET", "/history?x=" + "y" * 5_000).status == 414
    assert client.request("GET", "/history?x=" + "y" * 16_500).status == 414
    assert client.request("GET", "/", headers={"a": "b" * 16_500}).status == 400


@contextmanager
def connected(proxied: Proxied) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection((NAME, proxied.ports[0]), timeout=10) as plain,
        proxied.trust.wrap_socket(plain, server_hostname=NAME) as made,
    ):
        yield made


def test_a_slow_client_is_cut_off(proxied: Proxied) -> None:
    head = b"POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nname="
    for begun in (b"GET / HTTP/1.1\r\nhost: loc", head):
        with connected(proxied) as made:
            made.sendall(begun)
            try:
                answer = made.recv(1000)
            except ConnectionResetError:
                answer = b""
            assert answer == b"" or b" 408 " in answer


def test_who_hammers_waits_and_who_answers_an_alarm_does_not(proxied: Proxied) -> None:
    alert, mei, hammer = proxied.press(), machine(proxied, "mei"), machine(proxied)
    statuses = [hammer.request("GET", "/login") for _ in range(60)]
    refused = [answer for answer in statuses if answer.status == 429]
    assert len(refused) >= 10
    assert {answer.headers["retry-after"] for answer in refused} == {"5"}
    assert "Please try again" in refused[0].data.decode()
    answered = {mei.post(f"alerts/{alert}/notes", {"text": "x"}).status for _ in range(60)}
    assert answered == {201}
