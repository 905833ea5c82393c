"""The channels against real servers on this machine, the texts, and what of the configuration is refused."""

from __future__ import annotations

import email
import email.policy
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hearthline.errors import ConfigError
from hearthline_cloud.commands import app
from hearthline_cloud.config import ChannelConfig
from hearthline_cloud.notify.apprise_channel import AppriseChannel
from hearthline_cloud.notify.channels import open_channels
from hearthline_cloud.notify.port import Message
from hearthline_cloud.notify.texts import MAX_TEXT, Facts, render, title
from hearthline_cloud.notify.webhook import Webhook, retry_after_s, signature
from notify.receivers import MailServer, mail_server
from outside_service import Request, served
from secret_files import write_secret
from servers import free_ports

MESSAGE = Message("hearthline-1-2", "紧急呼叫", "紧急呼叫：home-1", "", {"alert": 1, "kind": "emergency"})


@dataclass
class Hook:
    """A server that answers with `status` and keeps what it got."""

    port: int = 0
    status: int = 200
    retry_after: str | None = None
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def take(self, request: Request) -> tuple[int, dict[str, str]]:
        self.headers.append(dict(request.headers))
        self.bodies.append(request.body)
        return self.status, {} if self.retry_after is None else {"Retry-After": self.retry_after}


@pytest.fixture
def hook() -> Iterator[Hook]:
    kept = Hook()
    with served(kept.take) as kept.port:
        yield kept


def test_a_webhook_is_signed_over_its_time_and_body(hook: Hook) -> None:
    result = Webhook(hook.url, "geheim", 5, now_s=lambda: 1763782800.9).send(MESSAGE)
    assert (result.sent, result.detail) == (True, "HTTP 200")
    (headers,), (body,) = hook.headers, hook.bodies
    assert headers["X-Hearthline-Timestamp"] == "1763782800"
    assert headers["X-Hearthline-Signature"] == f"sha256={signature(b'geheim', '1763782800', body)}"
    assert headers["Idempotency-Key"] == "hearthline-1-2"
    told = json.loads(body)
    assert (told["text"], told["alert"], told["to"]) == ("紧急呼叫：home-1", 1, "")


def test_the_signature_is_hmac_sha256_in_hex() -> None:
    """As `printf '1.{}' | openssl dgst -sha256 -hmac key` says."""
    assert signature(b"key", "1", b"{}") == "1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224"


@pytest.mark.parametrize(
    ("status", "sent", "retry"),
    [
        (204, True, False),
        (302, False, False),
        (400, False, False),
        (401, False, False),
        (404, False, False),
        (408, False, True),
        (429, False, True),
        (500, False, True),
        (503, False, True),
    ],
)
def test_what_an_answer_means(hook: Hook, status: int, sent: bool, retry: bool) -> None:
    hook.status = status
    result = Webhook(hook.url, "s", 5).send(MESSAGE)
    assert (result.sent, result.retry) == (sent, retry)


@pytest.mark.parametrize(
    ("header", "after_s"),
    [
        (None, 0),
        ("120", 120),
        (" 7 ", 7),
        ("Sat, 22 Nov 2025 03:41:00 GMT", 60),
        ("Sat, 22 Nov 2025 03:30:00 GMT", 0),  # gone by
        ("-5", 0),
        ("soon", 0),
        ("\u0661", 0),
        ("Sat, 99 Nov 2025 03:41:00 GMT", 0),
    ],
)
def test_a_server_may_ask_for_patience(hook: Hook, header: str | None, after_s: float) -> None:
    hook.status = 429
    hook.retry_after = header if header is None or header.isascii() else None
    result = Webhook(hook.url, "s", 5, now_s=lambda: 1763782800.0).send(MESSAGE)
    assert (result.retry, result.after_s) == (True, after_s)
    assert retry_after_s(header or "", 1763782800.0) == after_s


def test_nobody_there_and_nobody_answering_are_tried_again() -> None:
    (port,) = free_ports(1)
    gone = Webhook(f"http://127.0.0.1:{port}/", "s", 5).send(MESSAGE)
    assert (gone.sent, gone.retry) == (False, True)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = Webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/", "s", 0.2).send(MESSAGE)
    assert (mute.sent, mute.retry) == (False, True)
    assert "Timeout" in mute.detail


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


def test_apprise_sends_an_e_mail(mail: MailServer) -> None:
    channel = AppriseChannel(mail.url("duty@example.org"), 5)
    assert channel.send(MESSAGE).sent
    ((recipients, content),) = mail.got
    letter = email.message_from_bytes(content, policy=email.policy.default)
    body = letter.get_body(("plain",))
    assert recipients == ["duty@example.org"]
    assert letter["Subject"] == "紧急呼叫"
    assert body is not None
    assert body.get_content().strip() == "紧急呼叫：home-1"


def test_apprise_puts_a_contacts_number_into_its_url(mail: MailServer) -> None:
    channel = AppriseChannel(mail.url("{phone}@sms.example.org"), 5)
    assert channel.takes_phone
    assert channel.send(Message("k", "t", "text", "13800000000", {})).sent
    assert mail.got[0][0] == ["13800000000@sms.example.org"]


def test_apprise_speaks_to_an_ntfy_server(hook: Hook) -> None:
    """With a server of ours; of DingTalk, WeCom, Telegram and SMS gateways there is none to try."""
    channel = AppriseChannel(f"ntfy://127.0.0.1:{hook.port}/duty", 5)
    assert channel.send(MESSAGE).sent
    (told,) = (json.loads(body) for body in hook.bodies)
    assert (told["topic"], told["title"], told["message"]) == ("duty", "紧急呼叫", "紧急呼叫：home-1")
    hook.status = 503
    failed = channel.send(MESSAGE)
    assert (failed.sent, failed.retry) == (False, True)


@pytest.mark.parametrize(
    "url",
    [
        "dingtalk://abcdefgh12345678/13800000000",
        "wecombot://693a1cc6-7a0c-4bc4-97a0-0ec2c1fa5aaa",
        "tgram://123456789:abcdefg_hijklmnop/12315544/",
        "twilio://AC0123456789abcdef0123456789abcdef:0123456789abcdef0123456789abcdef@15551234567/{phone}",
    ],
)
def test_the_services_that_the_documents_name_are_known_to_apprise(url: str) -> None:
    assert AppriseChannel(url, 5).takes_phone == ("{phone}" in url)


def test_what_apprise_cannot_send_is_tried_again() -> None:
    (port,) = free_ports(1)
    url = f"mailto://127.0.0.1:{port}/d@example.org?from=a@example.org&smtp=127.0.0.1&mode=insecure"
    result = AppriseChannel(url, 2).send(MESSAGE)
    assert (result.sent, result.retry) == (False, True)


# --- texts --------------------------------------------------------------------------------------------------------

FACTS = Facts(12, "emergency", "press", "raised", "home-1", 3, 2)


def test_texts_in_both_languages() -> None:
    assert render(FACTS, "zh") == (
        "紧急呼叫：home-1，3 分钟前，尚无人受理。请打开值班台处理。编号 12，第 2 次通知。",
        False,
    )
    assert title(Facts(1, "emergency", "smoke", "raised", "h", 0, 1), "en") == "Smoke alarm"
    assert title(Facts(1, "of-tomorrow", "press", "raised", "h", 0, 1), "zh") == "报警"
    assert "shelved" in render(Facts(1, "service", "press", "shelved", "h", 0, 1), "en")[0]


@pytest.mark.parametrize("template", ["$illness", "$", "${what", "   ", "", "$what.__class__ $nothing"])
def test_a_template_that_fails_falls_back_to_the_plain_one(template: str) -> None:
    assert render(FACTS, "en", template) == (render(FACTS, "en")[0], True)


def test_a_template_of_ones_own() -> None:
    assert render(FACTS, "en", "$what at $place!") == ("Emergency call at home-1!", False)
    assert len(render(FACTS, "en", "x" * 5000)[0]) == MAX_TEXT


# --- configuration ------------------------------------------------------------------------------------------------


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    files = {
        "hook": "geheim",
        "mail": "mailto://u:p@example.org?to=a@example.org",
        "phone": "json://h/{phone}",
        "bad": "?",
    }
    for name, text in files.items():
        write_secret(tmp_path / name, f"{text}\n")
    return {name: str(tmp_path / name) for name in files}


def test_good_channels_open(secrets: dict[str, str]) -> None:
    channels = [
        ChannelConfig(
            name="a", kind="webhook", url="https://example.org/x", secret_file=secrets["hook"], staff=["mei"]
        ),
        ChannelConfig(name="b", kind="apprise", url_file=secrets["mail"]),
        ChannelConfig(name="c", kind="apprise", url_file=secrets["phone"], contacts=True, trusted=True),
    ]
    opened = open_channels(channels)
    assert [(each.reach.name, each.reach.contacts, set(each.reach.staff)) for each in opened] == [
        ("a", False, {"mei"}),
        ("b", False, set()),
        ("c", True, set()),
    ]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": ""}, "name"),
        ({"url": None}, "needs url and secret_file"),
        ({"secret_file": None}, "needs url and secret_file"),
        ({"url": "ftp://example.org"}, "no http or https URL"),
        ({"url_file": "/x"}, "url_file: a channel of kind webhook"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"timeout_s": 31.0}, "timeout_s"),
        ({"contacts": True}, "needs trusted = true"),
        ({"kind": "apprise"}, "url: a channel of kind apprise"),
        ({"kind": "apprise", "url": None, "secret_file": None}, "needs url_file"),
        ({"kind": "apprise", "url": None, "secret_file": None, "url_file": "bad"}, "none that Apprise knows"),
        (
            {
                "kind": "apprise",
                "url": None,
                "secret_file": None,
                "url_file": "mail",
                "contacts": True,
                "trusted": True,
            },
            r"\{phone\}",
        ),
        ({"kind": "apprise", "url": None, "secret_file": None, "url_file": "phone"}, r"\{phone\}"),
    ],
)
def test_a_wrong_channel_names_itself_and_the_key(secrets: dict[str, str], changes: dict[str, Any], error: str) -> None:
    values: dict[str, Any] = {"name": "duty", "kind": "webhook", "url": "https://e.org", "secret_file": secrets["hook"]}
    values |= {key: secrets.get(value, value) if key == "url_file" else value for key, value in changes.items()}
    with pytest.raises(ConfigError, match=r"channel\[0\]") as raised:
        open_channels([ChannelConfig(**values)])
    assert raised.match(error)


def test_two_channels_of_one_name_and_too_many_are_refused(secrets: dict[str, str]) -> None:
    config = ChannelConfig(name="a", kind="webhook", url="https://e.org", secret_file=secrets["hook"])
    with pytest.raises(ConfigError, match="another channel"):
        open_channels([config, config])
    with pytest.raises(ConfigError, match="32 at most"):
        open_channels([config] * 33)


# --- the command --------------------------------------------------------------------------------------------------


def test_a_channel_is_tried_with_a_message_that_says_that_it_is_a_test(hook: Hook, tmp_path: Path) -> None:
    write_secret(tmp_path / "secret", "geheim\n")
    config = tmp_path / "cloud.toml"
    config.write_text(
        f"""data_dir = "{tmp_path}"
[[channel]]
name = "duty"
kind = "webhook"
url = "{hook.url}"
secret_file = "{tmp_path}/secret"
[[channel]]
name = "broken"
kind = "webhook"
url = "{hook.url}"
secret_file = "{tmp_path}/none"
""",
        encoding="utf-8",
    )

    def run(*words: str) -> Any:
        found = CliRunner().invoke(app, ["notify", "test", *words, "--config", str(config)], standalone_mode=False)
        return found.return_value if found.exception is None else found.exception, found.output

    assert run("duty") == (0, "duty: sent: HTTP 200\n")
    told = json.loads(hook.bodies[0])
    assert (told["title"], told["test"], told["text"]) == ("测试", True, "这是一条测试消息，没有任何呼叫，无需处理。")
    hook.status = 403
    assert run("duty", "--json") == (1, '{"channel":"duty","sent":false,"result":"HTTP 403"}\n')
    for words, error in (
        (("gone",), "there are: duty, broken"),
        (("broken",), "secret_file"),
        (("duty", "--to", "1"), "--to"),
    ):
        refused, _ = run(*words)
        assert isinstance(refused, ConfigError)
        assert error in str(refused)
