"""Remote hands from the center's command line to a real agent and back: brokers, ingester, database, all real."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from cloud_center import Cloud
from cloud_processes import Role, running, until
from hearthline.cli import run
from hearthline_cloud import schema
from hearthline_cloud.remote.asking import PAUSE_S, Order, ask
from hearthline_cloud.remote.asks import State, What
from hearthline_cloud.scoping import EVERY
from hearthline_edge.loading import load_edge_config
from integration.edge.gateway import Gateway
from servers import mosquitto

pytestmark = pytest.mark.integration
PATIENCE_S = 40.0


@dataclass
class Whole:
    cloud: Cloud
    role: Role
    gateway: Gateway

    def hearthline(self, *arguments: str) -> int:
        return run(["gateway", *arguments, "--config", str(self.cloud.folder / "cloud.toml")])

    def changes(self) -> list[Any]:
        table = schema.remote_ask
        with self.cloud.database.reading() as connection:
            return list(connection.execute(select(table).where(table.c.what == "configure").order_by(table.c.asked_ns)))

    def change(self, config: dict[str, Any], within_s: float) -> str:
        """As if the last change had been a while ago."""
        table = schema.remote_ask
        with self.cloud.database.transaction() as connection:
            connection.execute(update(table).values(answered_ns=table.c.answered_ns - (PAUSE_S + 1) * 10**9))
            order = Order(What.CONFIGURE, config, within_s=within_s)
            return ask(connection, "gw-1", order, "boss", time.time_ns(), EVERY)

    def stands(self, change: str) -> Any:
        return next(row for row in self.changes() if row.id == change)

    def is_alive(self) -> bool:
        return self.gateway.process is not None and self.gateway.process.poll() is None


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[Whole]:
    for name in ("c", "b", "g"):
        (tmp_path / name).mkdir()
    cloud = Cloud(tmp_path / "c")
    cloud.populate()
    with ExitStack() as stack:
        stack.callback(cloud.close)
        broker = stack.enter_context(mosquitto(tmp_path / "b"))
        role = stack.enter_context(running(Role(cloud.folder, broker.port, ("ingest",))))
        gateway = Gateway(tmp_path / "g", "gw-1", broker.port)
        stack.callback(gateway.end)
        gateway.start()
        until(lambda: any(row.state == "online" for row in cloud.rows(schema.gateway)), PATIENCE_S)
        yield Whole(cloud, role, gateway)


def test_a_gateway_is_looked_at_changed_and_brought_back(whole: Whole, tmp_path: Path, capsys: Any) -> None:
    assert whole.hearthline("state", "gw-1", "--examine") == 0
    said = capsys.readouterr().out
    assert "gw-1: online" in said
    assert "ok    center: " in said
    assert whole.hearthline("log", "gw-1", "--lines", "5", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["lines"]) <= 5
    (tmp_path / "new.toml").write_text("local_alarm_after_s = 20\n[metrics]\nport = 1\n", encoding="utf-8")
    (tmp_path / "bad.toml").write_text('data_dir = "/"\n', encoding="utf-8")
    assert whole.hearthline("configure", "gw-1", str(tmp_path / "bad.toml")) == 1
    assert "data_dir cannot be changed from the center" in capsys.readouterr().err
    assert whole.hearthline("configure", "gw-1", str(tmp_path / "new.toml")) == 0
    assert "in force; it heard no device for" in capsys.readouterr().out
    assert load_edge_config(whole.gateway.config).local_alarm_after_s == 20
    assert run(["edge", "doctor", "--config", str(whole.gateway.config)]) in (0, 1)
    assert "The center has changed local_alarm_after_s, metrics" in capsys.readouterr().out
    assert whole.hearthline("configure", "gw-1", "--reset") == 1
    assert f"wait {PAUSE_S} seconds" in capsys.readouterr().err
    assert whole.hearthline("test", "gw-1", "--output") == 0

    # the center goes away while a change is on trial
    change = whole.change({"gather_s": 1.0}, 5)
    until(lambda: whole.gateway.told("begins anew with a configuration on trial") == 2, PATIENCE_S)
    whole.role.kill()
    until(lambda: whole.gateway.told("begins anew without the configuration on trial") == 1, PATIENCE_S)
    whole.role.start()
    until(lambda: whole.stands(change).state == State.UNDONE, PATIENCE_S)
    assert 'no "received"' in whole.stands(change).detail["reason"]
    assert load_edge_config(whole.gateway.config).center == ("local_alarm_after_s", "metrics")
    assert whole.is_alive()


@pytest.mark.long
def test_killed_at_any_moment_of_a_change(whole: Whole) -> None:
    rng = random.Random(7)
    in_force = 0.2
    results = []
    for number in range(20):
        wanted = 1.0 + number / 10
        change = whole.change({"gather_s": wanted}, 20)
        until(lambda: whole.gateway.told("begins anew with a configuration"), PATIENCE_S)
        for _ in range(rng.choice((1, 2, 3))):
            time.sleep(rng.uniform(0, 0.4))  # the moment of the kill is what is tried here
            whole.gateway.kill()
            whole.gateway.start(ready=False)
            until(lambda: whole.gateway.log_text()[whole.gateway.began :], PATIENCE_S)
        until(lambda change=change: whole.stands(change).state in ("done", "undone"), 90)  # type: ignore[misc]
        state = whole.stands(change).state
        in_force = wanted if state == State.DONE else in_force
        assert load_edge_config(whole.gateway.config).gather_s == in_force
        results.append(str(state))
    print(results)  # noqa: T201 - the figures of the long form
    assert {"done", "undone"} == set(results), "both ends were reached"
