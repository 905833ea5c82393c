"""`dashboards push` against a server that holds to Grafana's documented API: what it makes, keeps, refuses and says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from dashboards.fake_grafana import EDITOR, VIEWER, FakeGrafana, fake_grafana
from hearthline.errors import ConfigError, LinkError
from hearthline_dashboards.board import Board
from hearthline_dashboards.boards import every_board
from hearthline_dashboards.commands import app
from hearthline_dashboards.grafana import Grafana
from hearthline_dashboards.pushing import InfluxLogin, Step, push

ZONE, CONSOLE = "Asia/Shanghai", "https://center.example.org"
OVERVIEW = "hearthline-overview-zh"
LOGIN = InfluxLogin("http://influx.example.org:8086", "hearthline", "grafana", "s3cret")


@pytest.fixture
def there() -> Iterator[FakeGrafana]:
    with fake_grafana() as server:
        yield server
        assert server.state.violations == [], "asked for what Grafana's API does not document"


@cache
def built(console: str) -> list[Board]:
    return every_board(ZONE, console)


def push_all(there: FakeGrafana, console: str = CONSOLE, *, overwrite: bool = False) -> list[Step]:
    return list(push(Grafana(there.url, EDITOR), built(console), overwrite=overwrite))


def did(steps: list[Step]) -> dict[str, str]:
    return {step.uid: step.did for step in steps}


def test_an_empty_grafana_gets_folders_and_dashboards_and_a_second_run_writes_nothing(there: FakeGrafana) -> None:
    steps = push_all(there)
    assert set(did(steps).values()) == {"made"}
    assert len(there.state.dashboards) == 14
    assert {held["folderUid"] for held in there.state.dashboards.values()} == {"hearthline-zh", "hearthline-en"}
    written = len(there.state.writes)
    again = push_all(there)
    assert set(did(again).values()) == {"the same"}
    assert len(there.state.writes) == written
    assert {step.version for step in again if step.kind == "dashboard"} == {1}


def test_a_new_build_is_the_next_version_and_says_so(there: FakeGrafana) -> None:
    push_all(there)
    steps = push_all(there, "https://new.example.org")
    assert {step.version for step in steps if step.kind == "dashboard"} == {2}
    assert {step.did for step in steps if step.kind == "dashboard"} == {"changed"}
    held = there.state.dashboards[OVERVIEW]
    assert [version["version"] for version in held["versions"]] == [1, 2]
    assert "https://new.example.org" in str(held["dashboard"])


def test_where_it_was_moved_and_how_its_folder_was_called_stays_so(there: FakeGrafana) -> None:
    push_all(there)
    there.state.folders["hearthline-zh"]["title"] = "我们的看板"
    there.state.folders["mine"] = {"id": 9, "uid": "mine", "title": "Mine", "version": 1}
    there.state.dashboards[OVERVIEW]["folderUid"] = "mine"
    push_all(there, "https://new.example.org")
    assert there.state.dashboards[OVERVIEW]["folderUid"] == "mine"
    assert there.state.folders["hearthline-zh"]["title"] == "我们的看板"


@pytest.mark.parametrize("version", [9, 11])
def test_what_somebody_else_saved_is_kept_unless_it_is_to_be_overwritten(there: FakeGrafana, version: int) -> None:
    there.state.version = version
    push_all(there)
    there.state.edit(OVERVIEW, "My own title", "moved the panels")
    steps = push_all(there)
    (refused,) = [step for step in steps if step.did == "refused"]
    assert (refused.uid, refused.version) == (OVERVIEW, 2)
    assert "somebody else saved it last; --overwrite" in refused.why
    assert there.state.dashboards[OVERVIEW]["dashboard"]["title"] == "My own title"
    assert did(push_all(there, overwrite=True))[OVERVIEW] == "changed"
    held = there.state.dashboards[OVERVIEW]
    assert held["dashboard"]["title"] == "社区总览"
    assert [each["message"] for each in held["versions"]][1] == "moved the panels"  # the history has it still


def test_who_saves_between_our_reading_and_our_writing_wins(there: FakeGrafana) -> None:
    push_all(there)
    saves = iter([OVERVIEW])

    def somebody() -> None:
        if (uid := next(saves, None)) is not None:
            there.state.edit(uid, "Meanwhile")

    there.state.before_save = somebody
    steps = push_all(there, "https://new.example.org")
    (refused,) = [step for step in steps if step.did == "refused"]
    assert refused.uid == OVERVIEW
    assert "changed by someone else; run this again" in refused.why
    assert there.state.dashboards[OVERVIEW]["dashboard"]["title"] == "Meanwhile"
    assert sum(step.did == "changed" for step in steps) == 13  # the others went on


def test_a_provisioned_dashboard_is_left_to_its_file(there: FakeGrafana) -> None:
    push_all(there)
    there.state.dashboards[OVERVIEW]["provisioned"] = True
    steps = push_all(there, "https://new.example.org")
    assert did(steps)[OVERVIEW] == "left alone"


def test_a_dashboard_of_the_same_name_in_the_folder_is_not_replaced(there: FakeGrafana) -> None:
    push_all(there)
    there.state.dashboards["theirs"] = there.state.dashboards.pop(OVERVIEW)
    (refused,) = [step for step in push_all(there) if step.did == "refused"]
    assert "same name in the folder" in refused.why


def test_the_data_source_is_made_once_and_never_touched_again(there: FakeGrafana) -> None:
    grafana = Grafana(there.url, EDITOR)
    (made,) = list(push(grafana, [], LOGIN))
    assert (made.kind, made.did) == ("data source", "made")
    held = there.state.datasources["hearthline-influxdb"]
    assert held["jsonData"]["dbName"] == "hearthline"
    assert "s3cret" not in str(held)
    other = InfluxLogin("http://elsewhere:8086", "hearthline")
    assert [step.did for step in push(grafana, [], other)] == ["left alone"]
    assert there.state.datasources["hearthline-influxdb"]["url"] == LOGIN.url


@pytest.mark.parametrize(
    ("token", "said"), [("glsa_wrong", "HTTP 401.*not known there"), (VIEWER, "HTTP 403.*needs folders:create")]
)
def test_a_token_without_rights_says_which_are_missing(there: FakeGrafana, token: str, said: str) -> None:
    with pytest.raises(LinkError, match=said):
        list(push(Grafana(there.url, token), built(CONSOLE)))
    assert not there.state.dashboards


def test_who_is_no_grafana_or_away_is_named() -> None:
    with pytest.raises(LinkError, match="no Grafana answers there"):
        list(push(Grafana("http://127.0.0.1:9", EDITOR), built(CONSOLE)))
    with pytest.raises(ConfigError, match="--url"):
        Grafana("http://admin:admin@127.0.0.1:3000", EDITOR)


def test_the_command_says_what_it_did_and_fails_for_what_it_refused(there: FakeGrafana, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{EDITOR}\n", encoding="utf-8")
    token.chmod(0o600)
    options = ["push", "--url", there.url, "--token-file", str(token), "--console", CONSOLE, "--language", "zh"]
    result = CliRunner().invoke(app, options, standalone_mode=False)
    assert result.return_value == 0, result.output
    assert f"made        dashboard {OVERVIEW} (version 1)" in result.stdout
    assert len(there.state.dashboards) == 7
    there.state.edit(OVERVIEW, "Mine")
    result = CliRunner().invoke(app, [*options, "--json"], standalone_mode=False)
    assert result.return_value == 1
    steps = msgspec.json.decode(result.stdout)
    assert [step["uid"] for step in steps if step["did"] == "refused"] == [OVERVIEW]
    assert EDITOR not in result.output
