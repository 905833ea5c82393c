"""`hearthline cloud user`: there is no account before the first command, and what a command changes ends sessions."""

from __future__ import annotations

import getpass
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hearthline.cli import run
from hearthline_cloud import schema
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.people import LoginError, People
from hearthline_cloud.permissions import Role
from secret_files import write_secret

OWN = "correct horse battery staple"


@pytest.fixture
def database(tmp_path: Path, migrated_file: Path) -> Iterator[Database]:
    """As a center's is after `hearthline cloud migrate`, with a community."""
    shutil.copy(migrated_file, tmp_path / "hearthline.db")
    (tmp_path / "cloud.toml").write_text(f'data_dir = "{tmp_path}"\n', encoding="utf-8")
    made = Database(sqlite_url(tmp_path / "hearthline.db"))
    with made.transaction() as connection:
        connection.execute(schema.community.insert().values(id="c-1", name="East"))
    yield made
    made.close()


@pytest.fixture
def center(database: Database) -> People:
    return People(database)


@pytest.fixture
def user(center: People, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Exit code and what was said."""

    def call(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = run(["cloud", "user", *words, "--config", str(tmp_path / "cloud.toml")])
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


def log_in(center: People, name: str, password: str) -> str:
    return center.log_in(name, password, "here", time.time_ns())[0]


def test_nobody_gets_in_before_the_first_command_and_then_by_its_password_alone(
    center: People, user: Callable[..., tuple[int, str]]
) -> None:
    assert user("list") == (0, "There is no account yet: hearthline cloud user add NAME.\n")
    with pytest.raises(LoginError):
        log_in(center, "admin", "admin")
    code, said = user("add", "boss", "--role", "administrator", "--json")
    password = json.loads(said)["password"]
    assert (code, json.loads(said)) == (0, {"name": "boss", "password": password})
    assert len(password) >= 16
    session = center.sessions.find(log_in(center, "boss", password), time.time_ns())
    assert session is not None
    assert session.role is Role.ADMINISTRATOR
    _, said = user("add", "second", "--role", "administrator", "--json")
    assert json.loads(said)["password"] != password, "made anew for each"
    for each in center.accounts.all(time.time_ns()):
        assert password not in str(each)
    assert user("add", "boss")[0] == 1, "nobody's account is written over"
    log_in(center, "boss", password)


def test_a_password_of_ones_own_comes_from_a_file_and_is_not_repeated(
    center: People, user: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    file = str(write_secret(tmp_path / "password", f"{OWN}\n"))
    code, said = user("add", "mei", "--role", "nurse", "--community", "c-1", "--password-file", file)
    assert (code, said) == (0, "mei can log in.\n")
    log_in(center, "mei", OWN)
    assert user("list") == (0, "mei: nurse, c-1, 1 sessions\n")
    short = str(write_secret(tmp_path / "short", "short"))
    for words in (
        ("add", "jun", "--password-file", short),
        ("add", "jun", "--password-file", str(write_secret(tmp_path / "empty", ""))),
        ("add", "jun", "--community", "c-9"),
        ("add", ""),
        ("add", "jun", "--role", "king"),
    ):
        assert user(*words)[0] in (1, 2), words
    assert user("list") == (0, "mei: nurse, c-1, 1 sessions\n"), "nothing half done"


def test_every_change_ends_the_persons_sessions_and_says_who_made_it(
    database: Database, center: People, user: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    file = str(write_secret(tmp_path / "password", OWN))
    user("add", "mei", "--role", "nurse", "--community", "c-1", "--password-file", file)
    for words, listed in (
        (("logout", "mei"), "mei: nurse, c-1, 0 sessions"),
        (("role", "mei", "operator"), "mei: operator, c-1, 0 sessions"),
        (("communities", "mei"), "mei: operator, all communities, 0 sessions"),
        (("password", "mei", "--password-file", file), "mei: operator, all communities, 0 sessions"),
        (("disable", "mei"), "mei: operator, all communities, 0 sessions, disabled"),
    ):
        opened = center.sessions.open("mei", time.time_ns(), with_factor=True)
        assert opened is not None
        assert user(*words)[0] == 0
        assert center.sessions.find(opened[0], time.time_ns()) is None
        assert user("list")[1] == f"{listed}\n"
        with database.reading() as connection:
            rows: list[Any] = list(connection.execute(select(schema.journal).where(schema.journal.c.kind == "account")))
        assert rows[-1].actor == f"command line: {getpass.getuser()}"
        assert rows[-1].detail["account"] == "mei"
        assert OWN not in str(rows)


def test_who_is_not_there_is_named(user: Callable[..., tuple[int, str]]) -> None:
    for words in (("password", "nobody"), ("role", "nobody", "nurse"), ("disable", "nobody"), ("logout", "nobody")):
        code, said = user(*words)
        assert (code, "nobody" in said) == (1, True), words
