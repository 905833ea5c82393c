"""Whose address a request has, and the cookies of a center behind TLS."""

from __future__ import annotations

import pytest

from hearthline_cloud.api.proxies import Proxies
from hearthline_cloud.config import CloudConfig, WebConfig
from web.seeding import PASSWORD, Center


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "address"),
    [
        ([], "127.0.0.1", ["203.0.113.9"], "127.0.0.1"),  # nobody is believed who was not named
        (["127.0.0.1"], "127.0.0.1", [], "127.0.0.1"),
        (["127.0.0.1"], "127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        (["127.0.0.1"], "198.51.100.1", ["203.0.113.9"], "198.51.100.1"),  # a stranger's own header
        (["127.0.0.1"], "127.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),  # what the client made up stands first
        (["127.0.0.1"], "127.0.0.1", ["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
        (["127.0.0.1", "10.0.0.0/8"], "127.0.0.1", ["203.0.113.9, 10.1.2.3"], "203.0.113.9"),
        (["127.0.0.1"], "127.0.0.1", ["unknown"], "127.0.0.1"),
        (["127.0.0.1"], "::ffff:127.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        (["127.0.0.1"], "", ["203.0.113.9"], ""),
    ],
)
def test_the_header_is_believed_from_a_trusted_proxy_alone(
    trusted: list[str], peer: str, forwarded: list[str], address: str
) -> None:
    assert Proxies(trusted).client(peer, forwarded) == address


class Tls(Center):
    """Behind a proxy on loopback that speaks TLS."""

    @property
    def config(self) -> CloudConfig:
        web = WebConfig(port=self.port, secure_cookies=True, trusted_proxies=["127.0.0.1"])
        return CloudConfig(data_dir=str(self.folder), web=web)


def test_cookies_behind_tls_belong_to_this_host_alone(center: Center) -> None:
    tls = Tls(center.folder)
    form = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    body = f"name=mei&password={PASSWORD.replace(' ', '+')}".encode()
    with tls.serving():
        answer = tls.client().request("POST", "/login", body, form)
        cookies = answer.headers.getlist("set-cookie")
        assert {cookie.partition("=")[0] for cookie in cookies} == {
            "__Host-hearthline_session",
            "__Host-hearthline_device",
        }
        for cookie in cookies:
            assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= {each.strip() for each in cookie.split(";")}
            assert "Domain" not in cookie
        session = next(cookie.partition(";")[0] for cookie in cookies if "session" in cookie)
        assert tls.client().request("GET", "/api/v1/alerts", headers={"cookie": session}).status == 200
        unprefixed = session.removeprefix("__Host-")
        assert tls.client().request("GET", "/api/v1/alerts", headers={"cookie": unprefixed}).status == 401
    tls.close()
