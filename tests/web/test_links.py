"""Signed links: what a token holds, whatever is done to it, its key, and the one page of a dead one."""

from __future__ import annotations

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from hearthline.clock import NS
from hearthline.errors import ConfigError
from hearthline_cloud.config import CloudConfig, WebConfig, load_cloud_config
from hearthline_cloud.links import KEY_FILE, TOKEN_LENGTH, DeadLinkError, Link, Links, Purpose, open_links
from secret_files import write_secret
from web.seeding import Center

T0 = 1_800_000_000 * NS
LINKS = Links(b"k" * 32, "https://center.example.org")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(st.integers(0, 2**48 - 1), st.integers(1, 2**32 - 1), st.sampled_from(Purpose))
def test_a_link_opens_until_its_second_and_for_its_purpose_alone(subject: int, second: int, purpose: Purpose) -> None:
    token = LINKS.token(purpose, subject, second * NS)
    assert len(token) == TOKEN_LENGTH
    assert LINKS.open(purpose, token, second * NS - 1) == Link(purpose, subject, second * NS)
    for other, now_ns in ((purpose, second * NS), (Purpose(3 - purpose), 0)):
        with pytest.raises(DeadLinkError):
            LINKS.open(other, token, now_ns)


def test_no_character_of_a_link_can_be_altered_dropped_or_added() -> None:
    token = LINKS.token(Purpose.VOLUNTEER, 7, T0)
    altered = [token[:place] + letter + token[place + 1 :] for place in range(len(token)) for letter in ALPHABET]
    altered += [token[:place] + token[place + 1 :] for place in range(len(token))]
    altered += [token + "A", token + "=", token + "\n", "", "=", "é" * 32, "A" * 32, token[:-1] + "\x00", token.lower()]
    refused = 0
    for each in set(altered) - {token}:
        with pytest.raises(DeadLinkError):
            LINKS.open(Purpose.VOLUNTEER, each, T0 - NS)
        refused += 1
    assert refused > 32 * 60
    with pytest.raises(DeadLinkError):
        Links(b"l" * 32).open(Purpose.VOLUNTEER, token, T0 - NS)


def test_the_address_is_short_and_needs_a_public_url() -> None:
    url = LINKS.url(Purpose.VOLUNTEER, 123456, T0)
    assert url == f"https://center.example.org/v/{LINKS.token(Purpose.VOLUNTEER, 123456, T0)}"
    assert len(url) < 70
    assert Links(b"k" * 32).url(Purpose.FEEDBACK, 1, T0) is None


def test_the_key_is_made_once_for_its_owner_alone_by_whoever_is_first(tmp_path: Path) -> None:
    config = CloudConfig(data_dir=str(tmp_path))
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: open_links(config).token(Purpose.VOLUNTEER, 1, T0), range(16)))
    assert len(tokens) == 1
    path = tmp_path / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == [KEY_FILE]
    shared = CloudConfig(data_dir=str(tmp_path / "nowhere"), web=WebConfig(link_key_file=str(path)))
    assert open_links(shared).token(Purpose.VOLUNTEER, 1, T0) in tokens


def test_a_key_that_is_short_or_not_there_is_refused(tmp_path: Path) -> None:
    short = write_secret(tmp_path / "short", "geheim\n")
    for path in (short, tmp_path / "none"):
        with pytest.raises(ConfigError, match=r"web\.link_key_file"):
            open_links(CloudConfig(data_dir=str(tmp_path), web=WebConfig(link_key_file=str(path))))
    with pytest.raises(ConfigError, match="cannot be written"):
        open_links(CloudConfig(data_dir=str(tmp_path / "none")))


@pytest.mark.parametrize(
    "url", ["center.example.org", "ftp://a", "https://", "https://a/", "https://a/b", "https://a?b"]
)
def test_a_public_url_that_no_link_can_begin_with_names_its_key(tmp_path: Path, url: str) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(f'data_dir = "{tmp_path}"\n[web]\npublic_url = "{url}"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"web\.public_url"):
        load_cloud_config(path)
    path.write_text(f'data_dir = "{tmp_path}"\n[web]\npublic_url = "https://a:8443"\n', encoding="utf-8")
    assert load_cloud_config(path).web.public_url == "https://a:8443"


def test_no_token_is_logged_when_the_database_is_away(served: Center, caplog: pytest.LogCaptureFixture) -> None:
    token = open_links(served.config).token(Purpose.VOLUNTEER, 3, time.time_ns() + 3600 * NS)
    with served.database.transaction() as connection:
        connection.execute(text("ALTER TABLE work_order RENAME TO gone"))
    answer = served.client().request("GET", f"/v/{token}")
    assert answer.status == 503
    assert "the database did not answer" in caplog.text
    assert token not in caplog.text + str([vars(record) for record in caplog.records])
    assert token not in answer.data.decode()
