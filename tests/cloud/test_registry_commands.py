"""The registry's commands as an installer types them, in both languages, against a real database file."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import select
from typer.testing import CliRunner, Result

from cloud_center import Cloud
from hearthline.errors import ConfigError, RefusedError
from hearthline.speech import CHOSEN
from hearthline_cloud import commands_registry, commands_registry_shared, commands_staff, schema
from hearthline_cloud.commands import app as cloud_app
from hearthline_cloud.commands_registry_texts import SPEECH
from hearthline_cloud.desk import NotFoundError
from hearthline_cloud.registry.editing import RegistryError
from hearthline_cloud.registry.shape import FIELDS, Kind
from hearthline_cloud.registry.texts import TEXTS

APPS: dict[str, typer.Typer] = {
    kind.value: getattr(commands_registry, kind) for kind in Kind if kind in commands_registry.KINDS
}
APPS |= {"staff": commands_staff.staff, "cloud": cloud_app}


class Center:
    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.config = cloud.folder / "cloud.toml"
        url = cloud.database.url
        self.config.write_text(f'data_dir = "{cloud.folder}"\ndatabase = "{url}"\n', encoding="utf-8")
        self.config.chmod(0o600)

    def run(self, line: str, *more: str, answers: str = "") -> Result:
        group, *words = [*line.split(), *more]
        result = CliRunner().invoke(
            APPS[group], [*words, "--config", str(self.config)], input=answers, standalone_mode=False
        )
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, line: str, *more: str) -> Any:
        result = self.run(line, *more, "--json")
        return json.loads(result.stdout)


@pytest.fixture
def database_url(file_url: str) -> str:
    """SQLite alone: what differs on PostgreSQL is tried below the commands."""
    return file_url


@pytest.fixture
def center(cloud: Cloud) -> Center:
    return Center(cloud)


def test_a_home_is_set_up_shown_changed_and_taken_down(center: Center) -> None:
    for line in (
        "community add c-9 --name 静安日间照料中心",
        "home add h-9 --community c-9 --name 3号楼502室 --address 梧桐路18弄",
        "resident add r-9 --home h-9 --name 王秀兰 --birth-year 1941年 --phone ０２１－５５５０",
        "contact add r-9 --name 王建国 --relation 儿子 --phone 13800000142",
        "gateway add gw-9 --home h-9",
        "device add enocean:002EE196 --gateway gw-9 --room 卧室 --resident r-9 --kind push-button",
    ):
        assert center.json(line)["done"] == "added"
    assert center.json("home list", "--community", "c-9") == [
        {"id": "h-9", "community": "c-9", "name": "3号楼502室", "address": "梧桐路18弄"}
    ]
    assert center.json("resident show r-9")["phone"] == "021-5550"
    assert center.json("resident list", "--home", "h-9") == [{"id": "r-9", "home": "h-9", "name": "王秀兰"}]
    assert center.json("contact list r-9") == [{"name": "王建国", "relation": "儿子", "phone": "13800000142"}]
    assert center.json("device list", "--gateway", "gw-9")[0]["room"] == "卧室"
    assert center.json("device edit enocean:002EE196 --gateway gw-9 --room 客厅")["done"] == "changed"
    assert "客厅" in center.run("device show enocean:002EE196 --gateway gw-9").stdout
    assert center.json("contact edit r-9 1 --phone 139")["done"] == "changed"
    assert center.json("contact show r-9 1")["phone"] == "139"
    assert center.json("contact remove r-9 1")["done"] == "removed"
    with pytest.raises(RegistryError, match="--with-devices"):
        center.run("gateway remove gw-9")
    assert center.json("gateway remove gw-9 --with-devices")["done"] == "removed"
    with pytest.raises(ConfigError, match="--yes"):
        center.run("resident remove r-9")
    assert center.json("resident remove r-9 --yes")["new"] is True
    assert center.json("home remove h-9")["done"] == "removed"
    assert center.json("community remove c-9")["done"] == "removed"
    assert center.json("community list") == [{"id": "com-1", "name": "East"}]
    with pytest.raises(NotFoundError, match="there is no resident 'r-9'"):
        center.run("resident show r-9")
    with center.cloud.database.reading() as connection:
        kinds = connection.execute(select(schema.journal.c.kind, schema.journal.c.actor)).all()
    assert [row.kind for row in kinds].count("card-shown") == 3  # the card once, the contacts twice
    assert all(row.actor.startswith("command line: ") for row in kinds)


def test_what_is_not_given_is_asked_for_in_the_terminals_language(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands_registry_shared, "is_terminal", lambda: True)
    monkeypatch.setenv(CHOSEN, "zh")
    result = center.run("home add", answers="h-5\ncom-1\n五号楼\n\n")
    assert "住家编号（必填）" in result.stdout
    assert "地址（可留空）" in result.stdout
    assert "已登记住家 h-5。" in result.stdout
    monkeypatch.setenv(CHOSEN, "en")
    result = center.run("resident add r-5 --home h-5", answers="王秀兰\n")
    assert "name, needed" in result.stdout
    assert "phone" not in result.stdout  # who gives something is asked only for what is needed
    assert center.json("resident show r-5")["name"] == "王秀兰"


def test_what_is_refused_is_said_in_the_terminals_language(center: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"zh": "没有编号为“c-x”的社区", "en": "there is no community 'c-x'"}
    for language, text in said.items():
        monkeypatch.setenv(CHOSEN, language)
        with pytest.raises(RegistryError, match=text):
            center.run("home add h-6 --community c-x --name 6")
    with pytest.raises(ConfigError, match="nothing to change"):
        center.run("home edit home-1")
    with pytest.raises(ConfigError, match="--gateway"):
        center.run("device show enocean:1")
    with pytest.raises(NotFoundError):
        center.run("home edit home-x --name 6")
    with pytest.raises(ConfigError, match="there is no contact 1"):
        center.run("contact show res-1 1")


def test_an_import_is_tried_told_and_done(center: Center, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    book, homes = tmp_path / "t.xlsx", tmp_path / "homes.csv"
    assert center.json("cloud registry import", "--template", str(book)) == {"template": str(book)}
    with pytest.raises(ConfigError, match="not written over"):
        center.run("cloud registry import", "--template", str(book))
    assert center.json("cloud registry import", str(book)) == {"written": True, "counts": {}, "problems": []}
    homes.write_text("编号,社区,名称\nh-1,com-1,一\nh-2,com-x,二\n", encoding="gbk")
    monkeypatch.setenv(CHOSEN, "zh")
    tried = center.run("home import", str(homes), "--dry-run")
    assert tried.return_value == 1
    assert tried.stdout.splitlines() == [
        "homes.csv:3，社区（community）：没有编号为“com-x”的社区：文件和数据库中都没有", "有 1 个问题；没有改动。",
    ]  # fmt: skip
    (problem,) = center.json("home import", str(homes))["problems"]
    assert (problem["row"], problem["column"], problem["code"]) == (3, "社区", "no-such")
    assert center.cloud.count(schema.home) == 2
    homes.write_text("编号,社区,名称\nh-1,com-1,一\n", encoding="gbk")
    monkeypatch.setenv(CHOSEN, "en")
    assert "home: 1 new, 0 changed, 0 as they are" in center.run("home import", str(homes), "--dry-run").stdout
    assert center.cloud.count(schema.home) == 2
    assert center.json("home import", str(homes))["written"] is True
    assert center.cloud.count(schema.home) == 3
    with pytest.raises(ConfigError, match="give a file"):
        center.run("home import")
    with pytest.raises(ConfigError, match="cannot be read"):
        center.run("home import", str(tmp_path / "none.csv"))


def test_accounts_are_the_same_as_those_of_cloud_user(center: Center) -> None:
    made = center.json("staff add mei --role nurse --community com-1")
    assert set(made) == {"name", "password"}
    assert center.json("staff list") == center.json("cloud user list")
    assert center.json("staff edit mei --role operator --all-communities")["done"] == "changed"
    assert center.json("staff show mei")["communities"] is None
    assert center.json("staff remove mei")["disabled"] is True
    assert "closed" in center.run("staff show mei").stdout
    assert center.json("staff edit mei --open")["done"] == "changed"
    assert center.json("staff show mei")["disabled"] is False
    for line in ("staff show nobody", "staff edit nobody --open"):
        with pytest.raises(NotFoundError, match="there is no account 'nobody'"):
            center.run(line)
    for line in ("staff edit mei", "staff edit mei --community com-1 --all-communities"):
        with pytest.raises(ConfigError):
            center.run(line)


def test_an_account_is_changed_whole_or_not_at_all(center: Center) -> None:
    center.json("staff add mei --role nurse --community com-1")
    with pytest.raises(RefusedError, match="com-x"):
        center.run("staff edit mei --role administrator --community com-x")
    with pytest.raises(RefusedError, match="com-x"):
        center.run("staff edit mei --role administrator --community com-1 --community com-x --open")
    shown = center.json("staff show mei")
    assert (shown["role"], shown["communities"]) == ("nurse", ["com-1"])
    center.run("staff edit mei --role installer --all-communities")
    shown = center.json("staff show mei")
    assert (shown["role"], shown["communities"]) == ("installer", None)


def test_accounts_are_told_in_the_terminals_language(center: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOSEN, "zh")
    assert "只显示这一次" in center.run("staff add mei --role nurse").stdout
    assert "mei：nurse，全部社区，登录数 0" in center.run("staff list").stdout
    assert "不能再登录" in center.run("staff remove mei").stdout


def test_accounts_come_in_from_a_table_with_a_password_each_or_not_at_all(center: Center, tmp_path: Path) -> None:
    table, template = tmp_path / "staff.csv", tmp_path / "t.csv"
    assert center.json("staff import", "--template", str(template)) == {"template": str(template)}
    bad = "账号,角色,社区\nmei,护士,com-1\nmei,nurse,\njun,boss,com-x\n,nurse,\n"
    table.write_text(bad, encoding="gbk")
    told = center.json("staff import", str(table))
    assert [(each["row"], each["column"], each["code"]) for each in told["problems"]] == [
        (3, "账号", "twice"), (4, "角色", "no-role"), (4, "社区", "no-such"), (5, "账号", "missing"),
    ]  # fmt: skip
    assert (told["written"], center.json("staff list")) == (False, [])
    table.write_text("账号,角色,社区\nmei,护士,com-1\njun,operator,全部\n", encoding="utf-8")
    assert center.json("staff import", str(table), "--dry-run")["problems"] == []
    assert center.json("staff list") == []
    made = center.json("staff import", str(table))["accounts"]
    assert center.cloud.count(schema.staff) == len({each["password"] for each in made}) == 2
    listed = {each["name"]: (each["role"], each["communities"]) for each in center.json("staff list")}
    assert listed == {"mei": ("nurse", ["com-1"]), "jun": ("operator", None)}
    assert [each["code"] for each in center.json("staff import", str(table))["problems"]] == ["exists", "exists"]
    (apart, *_) = center.json("cloud registry import", str(table))["problems"]
    assert apart["code"] == "staff-apart"


def test_every_text_names_the_same_values_in_both_languages() -> None:
    for texts in (SPEECH.texts, TEXTS):
        for key, (zh, en) in texts.items():
            assert _names(zh) <= _names(en), key


def test_every_field_can_be_given(center: Center) -> None:
    for kind in commands_registry.KINDS:
        shown = center.run(f"{kind} edit --help").stdout
        key = "resident" if kind is Kind.CONTACT else "id"
        assert [
            each.name for each in FIELDS[kind] if each.name != key and f"--{each.name.replace('_', '-')}" not in shown
        ] == []


def _names(text: str) -> set[str]:
    return {name.rstrip("!r") for _, name, _, _ in string.Formatter().parse(text) if name}
