"""A restore from before a revocation, or before an account was closed, gives nobody back what was taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, update
from typer.testing import CliRunner

from cloud_center import Cloud
from hearthline.clock import NS
from hearthline.errors import ConfigError
from hearthline_cloud import journal, schema, withdrawn
from hearthline_cloud.commands import app
from hearthline_cloud.people import People
from hearthline_cloud.permissions import Role

LATER_NS = 2_000_000_000 * NS


def config_of(cloud: Cloud, folder: Path) -> Path:
    file = folder / "cloud.toml"
    text = f'data_dir = "{folder}"\ndatabase = "{cloud.database.url}"\nwithdrawn_file = "{folder}/elsewhere.jsonl"\n'
    file.write_text(text, encoding="utf-8")
    return file


def run(config: Path, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*words, "--config", str(config), "--json"])
    assert done.exception is None or done.exit_code == 1, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def certify(cloud: Cloud, serial: str, gateway: str = "gw-1") -> None:
    values = {"serial": serial, "gateway_id": gateway, "session": gateway, "issued_ns": 1, "ends_ns": LATER_NS}
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.certificate).values(**values))


def test_what_was_withdrawn_is_withdrawn_again(cloud: Cloud, tmp_path: Path) -> None:
    config = config_of(cloud, tmp_path)
    staff = {"password_hash": "", "role": Role.OPERATOR, "created_ns": 0, "center_wide": True}
    with cloud.database.transaction() as connection:
        connection.execute(insert(schema.staff), [{"name": name, **staff} for name in ("mei", "jun", "boss")])
    certify(cloud, "a1")
    certify(cloud, "b2")  # issued after the backup
    run(config, "ca", "revoke", "gw-1", "--wait", "0")
    for step, name in (("disable", "mei"), ("disable", "jun"), ("enable", "jun")):
        run(config, "user", step, name)

    with cloud.database.transaction() as connection:  # what a backup of before holds
        connection.execute(delete(schema.certificate).where(schema.certificate.c.serial == "b2"))
        connection.execute(update(schema.certificate).values(revoked_ns=None, reason=""))
        connection.execute(update(schema.staff).values(disabled=False))
    certify(cloud, "c3")  # issued after the restore
    file = str(tmp_path / "elsewhere.jsonl")
    assert run(config, "withdraw-again", file) == {"gateways": ["gw-1"], "staff": ["mei"]}
    assert {row.serial: row.revoked_ns is not None for row in cloud.rows(schema.certificate)} == {
        "a1": True,
        "b2": True,
        "c3": False,
    }
    assert {row.name: row.disabled for row in cloud.rows(schema.staff)} == {"mei": True, "jun": False, "boss": False}
    assert run(config, "withdraw-again", file) == {"gateways": [], "staff": []}
    with cloud.database.reading() as connection:
        assert journal.check(connection).broken_at is None


def test_a_gateway_that_the_backup_does_not_know_stays_out(cloud: Cloud) -> None:
    line = withdrawn.Line(5, "gateway", "gw-9", (withdrawn.Certificate("d4", "gw-9", LATER_NS),))
    found = withdrawn.withdraw_again(cloud.database, People(cloud.database, 12), [line], 7)
    assert found.gateways == ["gw-9"]
    assert [(row.serial, row.revoked_ns) for row in cloud.rows(schema.certificate)] == [("d4", 5)]


def test_a_line_that_a_power_cut_has_torn_spoils_no_other(tmp_path: Path) -> None:
    file = tmp_path / "withdrawn.jsonl"
    withdrawn.note(file, withdrawn.Line(1, "staff", "mei"))
    file.write_bytes(file.read_bytes() + b'{"at_ns":2,"wh')
    assert [line.name for line in withdrawn.read(file)] == ["mei"]
    withdrawn.note(file, withdrawn.Line(3, "staff", "jun"))
    with pytest.raises(ConfigError, match=r"withdrawn\.jsonl:2: is no line of withdrawals.*nothing was changed"):
        withdrawn.read(file)
    assert file.read_bytes().splitlines()[2] == b'{"at_ns":3,"what":"staff","name":"jun"}'
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be written.*a restore from a backup of before would undo it"):
        withdrawn.note(tmp_path, withdrawn.Line(1, "staff", "mei"))
