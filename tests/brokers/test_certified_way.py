"""The whole way of a press over TLS with certificates and roles: agent, broker, ingester, desk, all as processes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select

from brokers.certified import Place, faults, place, roles, running
from cloud_processes import until
from hearthline_cloud import commands_identity as commands
from hearthline_cloud import schema
from hearthline_cloud.desk import Desk
from hearthline_cloud.wake import Waker
from hearthline_sim.port import PtyPort
from integration.edge.gateway import Gateway, HomeEar, press_telegram, release_telegram
from servers import mosquitto

pytestmark = pytest.mark.integration
PATIENCE_S = 40.0


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "center"
    folder.mkdir()
    with running(place(folder, ("gw-1",))) as center:
        yield center


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def alerts(made: Place) -> list[Row[Any]]:
    database = made.database()
    with database.reading() as connection:
        rows = list(connection.execute(select(schema.alert).where(schema.alert.c.kind == "emergency")))
    database.close()
    return rows


def acknowledge(made: Place, alert: int) -> None:
    database, waker = made.database(), Waker(made.folder)
    Desk(database, waker).acknowledge(alert, "mei", time.time_ns())
    waker.close()
    database.close()


def certificates_into(folder: Path, issued: Path) -> None:
    for file in issued.iterdir():
        shutil.copy(file, folder)


def renewed(made: Place) -> tuple[Row[Any], Row[Any]] | None:
    """The certificates of the first session: that which was used, and the new one that the gateway says it uses."""
    database = made.database()
    with database.reading() as connection:
        table = schema.certificate
        rows = connection.execute(
            select(table).where(table.c.session == "gw-1", table.c.seen_ns.is_not(None)).order_by(table.c.issued_ns)
        ).all()
    database.close()
    return (rows[0], rows[1]) if len(rows) == 2 else None


def settled(folder: Path) -> list[Path]:
    """What is left of renewals when none is under way; nothing before that."""
    found = list(folder.iterdir())
    return found if all(each.is_dir() and (each / "proven").exists() for each in found) else []


def test_a_press_is_answered_the_certificate_renewed_revoked_and_let_in_again(
    made: Place, tmp_path: Path, stack: ExitStack
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    local = stack.enter_context(mosquitto(home))
    stack.enter_context(roles(made, "ingest", "desk"))
    port = PtyPort(home / "ttyENOCEAN", 10, 57600)
    stack.callback(port.close)
    certificates_into(home, made.issue_aged("gw-1", 66, "gw-1-old"))
    tls = "".join(
        f'{key} = "{home / name}"\n'
        for key, name in (
            ("ca_file", commands.ROOT),
            ("cert_file", commands.CERTIFICATE),
            ("second_cert_file", commands.SECOND_CERTIFICATE),
            ("key_file", commands.KEY),
        )
    )
    serial = {"radio": (port.path, "enocean-esp3")}
    clock = '[clock]\ntrust = "synced"\n'  # only who knows what time it is renews
    gateway = Gateway(home, "gw-1", made.port, local.port, serial, uplink=tls, tables=clock)
    ear = HomeEar(local.port, "gw-1")
    stack.callback(ear.close)
    log = made.server.log
    until(lambda: "hearthline-keeper-renewal" in log.read_text(encoding="utf-8") and faults(made) == {}, PATIENCE_S)
    gateway.start()
    stack.callback(gateway.end)
    until(lambda: gateway.told("port open") and gateway.told("uplink connected"), PATIENCE_S)

    port.send(press_telegram() + release_telegram())
    (alert,) = until(lambda: alerts(made), PATIENCE_S)
    until(lambda: ear.signals("received"), PATIENCE_S)
    acknowledge(made, alert.id)
    until(lambda: ear.signals("accepted"), PATIENCE_S)
    (old, new) = until(lambda: renewed(made), PATIENCE_S)
    until(lambda: gateway.told("changes over") and gateway.told("uplink connected") == 2, PATIENCE_S)
    assert gateway.told("uplink lost") == 0
    assert (old.revoked_ns, new.revoked_ns) == (None, None)
    folder = gateway.data / "certificates"
    assert {each.name for each in until(lambda: settled(folder), PATIENCE_S)} == {new.serial}
    assert {each.stat().st_mode & 0o777 for each in (folder / new.serial).iterdir()} == {0o600}
    assert (folder / new.serial / "uplink.key").read_bytes() != (home / commands.KEY).read_bytes()
    for name in (commands.CERTIFICATE, commands.SECOND_CERTIFICATE, commands.KEY):
        (home / name).rename(home / f"{name}.away")  # what it was given first is not needed any more
    gateway.kill()
    gateway.start()
    until(lambda: gateway.told("uplink connected") == 1, PATIENCE_S)
    assert faults(made) == {}
    until(lambda: log.read_text(encoding="utf-8").count(" as gw-1~second ") >= 3, PATIENCE_S)

    assert commands.revoke("gw-1", made.config, "stolen", PATIENCE_S) == 0
    until(lambda: gateway.told("uplink lost"), PATIENCE_S)
    port.send(press_telegram(button=1) + release_telegram())
    until(lambda: gateway.outbox()["event"]["depth"] >= 1, PATIENCE_S)
    assert len(alerts(made)) == 1
    assert [row.presses for row in alerts(made)] == [1]

    made.issue("gw-1", "gw-1-new")
    gateway.stop()
    certificates_into(home, made.folder / "gw-1-new")
    gateway.start()
    until(lambda: sum(row.presses for row in alerts(made)) == 2, PATIENCE_S)
    until(lambda: gateway.outbox()["event"]["depth"] == 0, PATIENCE_S)
