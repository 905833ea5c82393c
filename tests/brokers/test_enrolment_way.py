"""The whole way of an enrolment over real processes: a code, and a stick, until a press there is an alert.

Broker with TLS and certificates, ingester, desk with keeper and renewal, web; the agent as a process. Nothing but
what the center's and the home's commands have written configures the agent, the port of its pendant excepted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import urllib3
from sqlalchemy import Row, select
from typer.testing import CliRunner

from brokers.certified import Place, faults, place, roles, running
from cloud_processes import until
from hearthline_cloud import schema
from hearthline_cloud.commands_gateway import gateway as center_app
from hearthline_edge.commands_gateway import app as home_app
from hearthline_sim.port import PtyPort
from integration.edge.gateway import Gateway, press_telegram, release_telegram
from servers import HOST, free_ports

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
PATIENCE_S = 60.0


@dataclass
class Center:
    made: Place
    url: str

    def order(self, *arguments: str) -> dict[str, Any]:
        """What `hearthline gateway …` says at the center."""
        done = CliRunner().invoke(center_app, [*arguments, "--config", str(self.made.config), "--json"])
        assert done.exit_code == 0, (done.output, done.exception)
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def rows(self, table: Any) -> list[Row[Any]]:
        database = self.made.database()
        with database.reading() as connection:
            found = list(connection.execute(select(table)))
        database.close()
        return found

    @property
    def presses(self) -> int:
        return sum(row.presses for row in self.rows(schema.alert) if row.kind == "emergency")

    def offer(self, code: str) -> Row[Any]:
        (found,) = [row for row in self.rows(schema.enrolment) if row.id == code.replace("-", "")[:6]]
        return found

    @property
    def valid_keys(self) -> set[str]:
        return {row.key for row in self.rows(schema.certificate) if row.revoked_ns is None}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def center(tmp_path: Path, stack: ExitStack) -> Center:
    folder = tmp_path / "center"
    folder.mkdir()
    (port,) = free_ports(1)
    made = stack.enter_context(
        running(place(folder, (), f'[web]\nport = {port}\npublic_url = "http://{HOST}:{port}"\n'))
    )
    made.register("gw-1")
    stack.enter_context(roles(made, "ingest", "desk", "web"))
    log = made.server.log
    until(lambda: "hearthline-keeper-renewal" in log.read_text(encoding="utf-8") and faults(made) == {}, PATIENCE_S)
    url = f"http://{HOST}:{port}"
    until(lambda: answers(url), PATIENCE_S)
    return Center(made, url)


def answers(url: str) -> bool:
    with suppress(urllib3.exceptions.HTTPError):
        return urllib3.request("GET", f"{url}/healthz", retries=False).status == 200
    return False


class Enrolled(Gateway):
    """A gateway whose configuration its enrolment has written."""

    def write_config(self) -> Path:
        return self.config


def enrol(home: Path, *arguments: str) -> dict[str, Any]:
    """What `hearthline gateway enrol` says in this home."""
    where = ["--folder", str(home / "hearthline"), "--data-dir", str(home / "data"), "--no-start", "--json"]
    done = CliRunner().invoke(home_app, ["enrol", *arguments, *where])
    assert done.exit_code == 0, (done.output, done.exception)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def started(home: Path, stack: ExitStack) -> tuple[Enrolled, PtyPort]:
    """The agent, with a pendant's port."""
    port = PtyPort(home / "ttyENOCEAN", 10, 57600)
    stack.callback(port.close)
    folder = home / "hearthline"
    with (folder / "edge.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[[serial]]\nname = "radio"\nport = "{port.path}"\ndriver = "enocean-esp3"\nparity = "N"\n')
    made = Enrolled(folder, "gw-1", 0, data_dir=home / "data")
    made.start()
    stack.callback(made.end)
    return made, port


def test_a_code_then_a_stick_in_its_place_and_each_press_is_an_alert(
    center: Center, tmp_path: Path, stack: ExitStack
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    label = first / "label.svg"
    made = center.order("code", "gw-1", "--label", str(label))
    assert made["code"][:14] in label.read_text(encoding="utf-8")
    done = enrol(first, f"hearthline-enrol:{center.url}#{made['code']}")
    assert (done["gateway"], done["already"]) == ("gw-1", False)
    assert enrol(first, made["code"], "--center", center.url)["already"]
    old, port = started(first, stack)
    until(lambda: old.told("port open") and old.told("uplink connected"), PATIENCE_S)
    port.send(press_telegram() + release_telegram())
    until(lambda: center.presses == 1, PATIENCE_S)
    until(lambda: center.offer(made["code"]).taken_ns, PATIENCE_S)

    stick = tmp_path / "stick"
    bundle = center.order("bundle", "gw-1", "--out", str(stick), "--again")
    assert enrol(second, bundle["code"], "--bundle", str(stick))["gateway"] == "gw-1"
    carried = center.offer(bundle["code"]).key
    assert {carried} < center.valid_keys, "the old machine goes on until the new one is there"
    new, port = started(second, stack)
    until(lambda: center.offer(bundle["code"]).replaced_ns, PATIENCE_S)
    until(lambda: center.rows(schema.certificate) and len(center.valid_keys) == 1, PATIENCE_S)
    assert carried not in center.valid_keys, "the key that was on the stick is worth nothing any more"
    (renewed,) = (second / "data" / "certificates").iterdir()
    assert (renewed / "uplink.key").read_bytes() != (second / "hearthline" / "uplink.key").read_bytes()
    until(lambda: faults(center.made) == {}, PATIENCE_S)
    until(
        lambda: not [row for row in center.rows(schema.certificate) if row.revoked_ns and not row.enforced_ns],
        PATIENCE_S,
    )
    until(lambda: new.told("port open"), PATIENCE_S)
    old.end()
    port.send(press_telegram(button=1) + release_telegram())
    until(lambda: center.presses == 2, PATIENCE_S)
    until(lambda: new.outbox()["event"]["depth"] == 0, PATIENCE_S)
