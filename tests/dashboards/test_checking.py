"""`dashboards check` over a filled InfluxDB: every query of every panel, and that each kind of fault is found."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from dashboards.conftest import DATABASE, NOW_S, Center
from hearthline.errors import LinkError
from hearthline_dashboards.board import Board, Setting, datasource_variable, tag_variable
from hearthline_dashboards.boards import every_board
from hearthline_dashboards.checking import Finding, Influx, check
from hearthline_dashboards.commands import app
from hearthline_dashboards.influxql import Query
from hearthline_dashboards.panels import number
from servers import influxd

pytestmark = pytest.mark.integration
NAMES = ("overview", "home", "vitals", "energy", "devices", "service")


def ask(made: list[Board], center: Center) -> list[Finding]:
    return list(check(made, {"influxdb": center.influx}, center.now_ms))


def test_every_query_of_every_panel_has_an_answer(center: Center) -> None:
    made = every_board("Asia/Shanghai", "https://center.example.org")
    found = ask(made, center)
    assert [each for each in found if each.fault] == []
    assert {each.board for each in found} == {f"hearthline-{name}-{of}" for name in NAMES for of in ("zh", "en")}
    asked = {(each.board, each.panel) for each in found}
    panels = {(board.setting.uid(board.name), panel.title) for board in made for panel in board.panels if panel.targets}
    assert {each for each in panels if "parts" not in each[0]} <= asked
    empty = {each.panel for each in found if each.choice == "all" and not each.points}
    assert empty == set(), "also what may be empty has something to show in this data"


def board_with(text: str, *, may_be_empty: bool = False, variable: str = "") -> Board:
    setting = Setting("en")
    homes = tag_variable(setting, "home")
    homes.query = variable or homes.query
    board = Board("trial", setting, "Trial", "", "now-1h", [datasource_variable(), homes])
    board.add(number("Panel", Query(text), recent="2d"), 4, 4, may_be_empty=may_be_empty)
    return board


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('SELECT last("value") FORM "power"', "refused the query"),
        ('SELECT last("value") FROM "no_such_thing" WHERE $timeFilter', "no value"),
        ('SELECT last("valeu") FROM "power" WHERE $timeFilter', "no value"),
        ('SELECT last("value") FROM "monthly"."power" WHERE $timeFilter', "retention policy not found"),
        ('SELECT last("value") FROM "power" WHERE "home" =~ /^(${hom:regex})$/ AND $timeFilter', "no value"),
        ('SELECT last("value") FROM "power" WHERE $timeFilter; SHOW DATABASES', "2 statements"),
    ],
)
def test_each_kind_of_fault_is_found(center: Center, text: str, fault: str) -> None:
    found = [each for each in ask([board_with(text)], center) if each.panel == "Panel" and each.choice == "all"]
    assert len(found) == 1
    assert fault in found[0].fault


def test_a_panel_that_may_be_empty_may_not_be_wrong(center: Center) -> None:
    empty = board_with('SELECT last("value") FROM "no_such_thing" WHERE $timeFilter', may_be_empty=True)
    wrong = board_with('SELECT lust("value") FROM "power" WHERE $timeFilter', may_be_empty=True)
    assert not any(each.fault for each in ask([empty], center))
    assert any(each.fault for each in ask([wrong], center))


def test_a_variable_without_anything_to_choose_is_a_fault(center: Center) -> None:
    board = board_with(
        'SELECT last("value") FROM "power" WHERE $timeFilter', variable='SHOW TAG VALUES WITH KEY = "nobody"'
    )
    assert [each.fault for each in ask([board], center) if each.panel == "$home"] == ["nothing can be chosen"] * 2


def test_the_command_says_what_it_found_and_fails_where_it_must(center: Center, tmp_path: Path) -> None:
    moment = dt.datetime.fromtimestamp(NOW_S, dt.UTC).isoformat()
    options = ["check", "--url", center.url, "--database", DATABASE, "--at", moment]
    result = CliRunner().invoke(app, [*options, "--json"])
    found = msgspec.json.decode(result.stdout)
    assert result.exit_code == 0, result.output
    assert len(found) > 300
    assert not any(each["fault"] for each in found)
    result = CliRunner().invoke(app, [*options[:-1], "2020-01-01T00:00:00Z"], standalone_mode=False)
    assert result.return_value == 1
    assert "no value: the panel would be empty" in result.stdout


def test_who_is_away_or_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="cannot be reached"):
        Influx("http://127.0.0.1:9", DATABASE).ask("SHOW DATABASES")
    with influxd(tmp_path, auth=True) as server:
        Influx(server.url, DATABASE).ask("CREATE USER boss WITH PASSWORD 'x' WITH ALL PRIVILEGES")
        with pytest.raises(LinkError, match=r"refused the login \(HTTP 401\); give --username"):
            Influx(server.url, DATABASE).ask("SHOW DATABASES")
        assert Influx(server.url, DATABASE, "boss", "x").ask("SHOW USERS")[0]["values"] == [["boss", True]]
