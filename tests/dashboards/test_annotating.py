"""The center's alerts as annotations: a real center's API, and a server that holds to Grafana's documented API."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from dashboards.fake_grafana import EDITOR, fake_grafana
from hearthline.errors import LinkError
from hearthline_cloud import schema
from hearthline_dashboards.annotating import Alert, annotate, annotation
from hearthline_dashboards.annotating import Center as Api
from hearthline_dashboards.board import Setting
from hearthline_dashboards.commands import app
from hearthline_dashboards.grafana import Grafana
from web.client import PASSWORD
from web.seeding import Center

SETTINGS = [Setting("zh", console="https://center.example.org"), Setting("en", console="https://center.example.org")]
OPEN = Alert(7, "emergency", "2026-11-20T08:00:00.000000Z", None, "home-1")
CLOSED = Alert(7, "emergency", "2026-11-20T08:00:00.000000Z", "2026-11-20T08:20:00.500000Z", "home-1")
OTHER = Alert(8, "device-fault", "2026-11-20T09:00:00.000000Z")


def test_an_annotation_has_kind_number_and_link() -> None:
    body = annotation(CLOSED, SETTINGS[0])
    assert body["timeEnd"] - body["time"] == 1_200_500
    assert body["text"] == '<a href="https://center.example.org/alerts/7">紧急呼叫 7</a>'
    assert body["tags"] == ["hearthline", "alert", "zh", "emergency", "alert:7", "home:home-1"]


def test_each_alert_is_annotated_once_and_its_end_follows() -> None:
    with fake_grafana() as there:
        grafana = Grafana(there.url, EDITOR)
        first = annotate(grafana, [OTHER, OPEN], SETTINGS)
        assert (first.made, first.changed, first.same) == (4, 0, 0)
        written = len(there.state.writes)
        again = annotate(grafana, [OTHER, OPEN], SETTINGS)
        assert (again.made, again.changed, again.same) == (0, 0, 4)
        assert len(there.state.writes) == written
        ended = annotate(grafana, [OTHER, CLOSED], SETTINGS)
        assert (ended.made, ended.changed, ended.same) == (0, 2, 2)
        assert there.state.violations == []
        assert len(there.state.annotations) == 4
        assert {each["timeEnd"] - each["time"] for each in there.state.annotations} == {0, 1_200_500}


def test_nothing_is_asked_when_there_is_no_alert() -> None:
    with fake_grafana() as there:
        assert annotate(Grafana(there.url, EDITOR), [], SETTINGS).made == 0
        assert there.state.requests == []


@pytest.mark.parametrize("kind", ["emergency", "new-kind-of-2030"])
def test_an_unknown_kind_is_told_by_its_word(kind: str) -> None:
    assert annotation(Alert(1, kind, "2026-11-20T08:00:00Z"), SETTINGS[1])["text"].endswith(" 1</a>")


def test_the_command_carries_a_centers_alerts_over_without_a_name(tmp_path: Path) -> None:
    token, password = tmp_path / "token", tmp_path / "password"
    for path, secret in ((token, EDITOR), (password, PASSWORD)):
        path.write_text(f"{secret}\n", encoding="utf-8")
        path.chmod(0o600)
    center = Center(tmp_path)
    center.populate()
    raised = center.press()
    with closing(center), center.serving(), fake_grafana() as there:
        with pytest.raises(LinkError, match=r"HTTP 40\d; look at --user"):
            Api(center.url, "mei", "wrong")
        options = ["annotate", "--url", there.url, "--token-file", str(token), "--console", center.url]
        options += ["--user", "mei", "--password-file", str(password), "--language", "en", "--json"]
        first = CliRunner().invoke(app, options, standalone_mode=False)
        assert first.exit_code == 0, first.output
        annotations = {tag: each for each in there.state.annotations for tag in each["tags"]}
        assert (
            annotations[f"alert:{raised}"]["text"] == f'<a href="{center.url}/alerts/{raised}">Emergency {raised}</a>'
        )
        center.client("mei").post(f"alerts/{raised}/resolve", {"outcome": "help-given"})
        again = CliRunner().invoke(app, options, standalone_mode=False)
        assert msgspec.json.decode(again.stdout)["changed"] == 1
        told = str(there.state.annotations)
        with center.database.reading() as connection:
            for table in (schema.home, schema.resident):
                for name in connection.execute(select(table.c.name)).scalars():
                    assert name not in told
        assert there.state.violations == []


def test_a_center_that_is_away_is_named() -> None:
    with pytest.raises(LinkError, match="cannot be reached"):
        Api("http://127.0.0.1:9", "mei", "x")
