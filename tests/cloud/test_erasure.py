"""Consent, export and erasure of one resident, with what comes in between."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from cloud_center import Cloud
from hearthline.errors import ConfigError, LinkError, RefusedError
from hearthline.model import EventType
from hearthline_cloud import journal, schema
from hearthline_cloud.alerts.lifecycle import Outcome
from hearthline_cloud.api.registry_reads import list_vitals
from hearthline_cloud.commands import app
from hearthline_cloud.config import StoreConfig
from hearthline_cloud.database import Database, sqlite_url
from hearthline_cloud.desk import Desk
from hearthline_cloud.listing import is_any_list_due, order_due_lists
from hearthline_cloud.notify.sending import contact_phones
from hearthline_cloud.personal import erasing
from hearthline_cloud.personal.column import ERASED
from hearthline_cloud.personal.consents import By, Kind, agree, withdraw
from hearthline_cloud.personal.exporting import export, page
from hearthline_cloud.personal.keys import KEY_FILE
from hearthline_cloud.personal.opening import unlock
from hearthline_cloud.personal.vault import open_notes
from hearthline_cloud.registry.file import load_registry
from hearthline_cloud.store import Point, SeriesQuery, open_store
from hearthline_cloud.store.port import MAX_TIME_NS, MIN_TIME_NS
from personal_rows import change, put

PRESSURE = {"values": [{"quantity": "systolic", "value": 141.0, "unit": "mm[Hg]"}], "user": 1}
EMBEDDED = StoreConfig()


def store_of(cloud: Cloud) -> Any:
    return open_store(EMBEDDED, cloud.folder)


def values(cloud: Cloud) -> list[float]:
    store = store_of(cloud)
    found = [sample.value for name in store.quantities() for sample in store.read(
        SeriesQuery(name, MIN_TIME_NS, MAX_TIME_NS))]  # fmt: skip
    store.close()
    return sorted(found)


@pytest.fixture
def known(cloud: Cloud) -> Cloud:
    """A resident with a card, a closed case with a note, a blood pressure, readings of the own pendant."""
    with cloud.database.transaction() as connection:
        contacts = [{"name": "王建国", "relation": "son", "phone": "861"}]
        change(connection, schema.resident, "res-1", name="王秀兰", phone="860", contacts=contacts)
    now_ns = time.time_ns()
    cloud.take(cloud.gateway.press(), cloud.gateway.event(EventType.VITAL, "cuff:1", **PRESSURE))
    desk = Desk(cloud.database, cloud.waker)
    desk.note(1, "she fell twice", "mei", now_ns)
    store = store_of(cloud)
    own = Point("systolic", "com-1", "home-1", "gw-1", "cuff:1", 141.0, 5, "res-1")
    pendant = Point("battery", "com-1", "home-1", "gw-1", "enocean:1", 3.0, 5)
    assert store.write([own, pendant, Point("power", "com-1", "home-1", "gw-1", "meter:1", 80.0, 5)]) == []
    store.close()
    return cloud


def close(cloud: Cloud) -> None:
    Desk(cloud.database, cloud.waker).resolve(1, Outcome.HELP_GIVEN, "mei", time.time_ns())


def erase(cloud: Cloud) -> bool:
    is_new = erasing.erase(cloud.database, "res-1", "boss", time.time_ns())
    erasing.finish(cloud.database, EMBEDDED, cloud.folder, time.time_ns())
    return is_new


def test_who_has_an_open_case_is_not_erased(known: Cloud) -> None:
    with pytest.raises(RefusedError, match=r"res-1 has an open case \(1\): close it first; nothing was changed"):
        erase(known)
    assert known.rows(schema.resident)[0].name == "王秀兰"
    assert not (known.folder / erasing.LIST_FILE).exists()
    with pytest.raises(RefusedError, match="there is no resident 'nobody'"):
        erasing.erase(known.database, "nobody", "boss", 1)


def test_an_open_case_of_the_home_may_be_the_persons(known: Cloud) -> None:
    close(known)
    known.take(known.gateway.press(device="enocean:nobodys"))
    with pytest.raises(RefusedError, match=r"open case \(2\)"):
        erase(known)


def test_an_erased_person_is_gone_everywhere_and_the_figures_and_the_chain_stay(known: Cloud) -> None:
    close(known)
    assert erase(known)
    assert known.rows(schema.resident) == []
    assert {row.subject for row in known.rows(schema.personal_key)} == {"center", "place:home-1", "place:home-2"}
    with known.database.reading() as connection:
        notes = [row for row in known.rows(schema.journal) if row.kind == "note"]
        assert open_notes(connection, notes) == [{"text": ERASED}]
        assert journal.check(connection).broken_at is None
    (case,) = known.rows(schema.alert)
    assert (case.state, case.outcome, case.resident_id) == ("resolved", Outcome.HELP_GIVEN, None)
    assert [(row.type, row.resident_id) for row in known.rows(schema.event)] == [
        (EventType.ALARM, None),
        (EventType.VITAL, None),
    ]
    assert known.rows(schema.event)[1].data == {}
    assert known.rows(schema.store_queue) == []
    assert {row.resident_id for row in known.rows(schema.device)} == {None}
    assert values(known) == [80.0]
    assert known.rows(schema.journal)[-1].kind == erasing.ERASED


def test_a_name_that_an_installer_gave_goes_from_the_gateway_and_from_what_was_sent(known: Cloud) -> None:
    bound = known.gateway.event(EventType.BINDING, known.gateway.id)
    data = {"state": "wanted", "device": "enocean:1", "name": "王秀兰的吊坠", "room": "bedroom"}
    other = {"state": "wanted", "device": "x:2", "name": "门磁"}
    known.take(replace(bound, data=data))
    known.take(replace(known.gateway.event(EventType.BINDING, known.gateway.id), data=other))
    with known.database.transaction() as connection:
        connection.execute(update(schema.gateway).values(last_seen_ns=1))
        order_due_lists(connection, 5)
    close(known)
    assert "王秀兰" in str(known.rows(schema.command))
    assert "王秀兰" in str(known.rows(schema.event))
    erase(known)
    assert "王秀兰" not in str([*known.rows(schema.command), *known.rows(schema.event), *known.rows(schema.device)])
    assert [row.data["name"] for row in known.rows(schema.event) if row.type == EventType.BINDING] == ["", "门磁"]
    assert "门磁" in str(known.rows(schema.command)), "what is nobody's keeps its name"
    with known.database.reading() as connection:
        assert is_any_list_due(connection)


def test_a_neighbour_in_the_same_home_keeps_everything(known: Cloud) -> None:
    with known.database.transaction() as connection:
        put(connection, schema.resident, id="res-2", home_id="home-1", name="陈阿宝", contacts=[])
    store = store_of(known)  # measured with the cuff that both use
    store.write([Point("systolic", "com-1", "home-1", "gw-1", "cuff:1", 150.0, 6, "res-2")])
    store.close()
    close(known)
    erase(known)
    assert [row.name for row in known.rows(schema.resident)] == ["陈阿宝"]
    assert [row.subject for row in known.rows(schema.personal_key) if "res" in row.subject] == ["resident:res-2"]
    assert values(known) == [80.0, 150.0]


def test_an_erasure_that_was_killed_goes_on(known: Cloud) -> None:
    """Killed after the database, before the time series; then the store is away."""
    close(known)
    assert erasing.erase(known.database, "res-1", "boss", 7)
    assert values(known) == [3.0, 80.0, 141.0]
    away = StoreConfig(kind="influxdb", url="http://127.0.0.1:1", timeout_s=0.5)
    with pytest.raises(LinkError):
        erasing.finish(known.database, away, known.folder, 8)
    assert known.rows(schema.erasure)[0].series_gone_ns is None
    assert [each["resident"] for each in json.loads((known.folder / erasing.LIST_FILE).read_text())] == ["res-1"]
    assert not erase(known)
    assert values(known) == [80.0]
    assert [row.kind for row in known.rows(schema.journal)].count(erasing.ERASED) == 1


def test_the_registry_file_does_not_bring_an_erased_person_back(known: Cloud, tmp_path: Path) -> None:
    close(known)
    erase(known)
    file = tmp_path / "registry.toml"
    file.write_text('[[resident]]\nid = "res-1"\nhome = "home-1"\nname = "x"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="'res-1' was erased: take the entry out of the file"):
        load_registry(known.database, file)
    assert known.rows(schema.resident) == []


def test_the_list_erases_anew_whom_an_older_backup_has_brought_back(known: Cloud, tmp_path: Path) -> None:
    """Also with a case that was open then: the person is known to have left."""
    listed = tmp_path / "erased.json"
    listed.write_bytes(msgspec.json.encode([{"resident": who, "at_ns": 7, "by": "boss"} for who in ("res-1", "other")]))
    assert erasing.apply_list(known.database, listed) == ["res-1"]
    assert known.rows(schema.resident) == []
    assert [(row.state, row.resident_id) for row in known.rows(schema.alert)] == [("raised", None)]
    assert {row.resident_id for row in known.rows(schema.erasure)} == {"res-1", "other"}
    assert erasing.apply_list(known.database, listed) == []
    listed.write_text("[{}]")
    with pytest.raises(ConfigError, match="no list of who was erased"):
        erasing.apply_list(known.database, listed)


def test_an_export_has_everything_and_is_told(known: Cloud) -> None:
    with known.database.transaction() as connection:
        agree(connection, "res-1", Kind.VITALS, By.GUARDIAN, "王建国", "form 3", "boss", 5)
    found = export(known.database, store_of(known), "res-1", "boss", 9)
    assert found["resident"][0]["name"] == "王秀兰"
    assert found["consents"][0]["guardian"] == "王建国"
    assert {"text": "she fell twice"} in [entry["detail"] for entry in found["journal"]]
    assert [row["type"] for row in found["events"]] == [EventType.ALARM, EventType.VITAL]
    assert sorted(row["value"] for row in found["readings"]) == [3.0, 141.0]
    assert found["home"][0]["id"] == "home-1"
    assert known.rows(schema.journal)[-1].kind == "resident-exported"
    assert msgspec.json.decode(msgspec.json.encode(found))["alerts"][0]["id"] == 1


def test_a_press_waits_for_no_export(known: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A time-series store may take minutes; while it does, the database has room for another writer."""
    store = store_of(known)
    quantities, before = store.quantities, known.count(schema.event)

    def meanwhile() -> list[str]:
        with known.database.transaction():
            pass  # else the press would be tried for ever
        known.take(known.gateway.press())
        found: list[str] = quantities()
        return found

    monkeypatch.setattr(store, "quantities", meanwhile)
    assert len(export(known.database, store, "res-1", "boss", 9)["readings"]) == 2
    assert known.count(schema.event) == before + 1


def test_each_value_of_an_export_stands_under_its_heading(known: Cloud) -> None:
    text = page({"readings": export(known.database, store_of(known), "res-1", "boss", 9)["readings"]}, "res-1")
    columns = ["quantity", "gateway", "device", "resident", "at", "value"]
    assert "".join(f'<th scope="col">{name}</th>' for name in columns) in text
    at = "<td>1970-01-01T00:00:00.000000Z</td>"
    assert f"<td>battery</td><td>gw-1</td><td>enocean:1</td><td></td>{at}<td>3.0</td>" in text
    assert f"<td>systolic</td><td>gw-1</td><td>cuff:1</td><td>res-1</td>{at}<td>141.0</td>" in text


def test_a_readable_export_runs_no_script(known: Cloud) -> None:
    with known.database.transaction() as connection:
        change(connection, schema.resident, "res-1", notes="<script>alert(1)</script>")
    found = export(known.database, store_of(known), "res-1", "boss", 9)
    text = page(found, "res-1")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "王秀兰" in text


def test_withdrawn_vitals_are_neither_stored_nor_shown_and_alarms_go_on(known: Cloud) -> None:
    with known.database.transaction() as connection:
        withdraw(connection, "res-1", Kind.VITALS, "boss", 5)
        withdraw(connection, "res-1", Kind.ALARM, "boss", 5)
        assert list_vitals(connection, "res-1", 10) == []
    queued = known.count(schema.store_queue)
    known.take(known.gateway.event(EventType.VITAL, "cuff:1", **PRESSURE), known.gateway.press())
    assert known.count(schema.store_queue) == queued
    assert known.rows(schema.event)[2].data == {"withheld": "consent"}
    assert known.rows(schema.alert)[0].presses == 2
    with known.database.transaction() as connection:
        agree(connection, "res-1", Kind.VITALS, By.RESIDENT, "", "form 4", "boss", 6)
        assert len(list_vitals(connection, "res-1", 10)) == 2
    known.take(known.gateway.event(EventType.VITAL, "cuff:1", **PRESSURE))
    assert known.count(schema.store_queue) == queued + 1
    kinds = [row.kind for row in known.rows(schema.journal) if row.kind.startswith("consent")]
    assert kinds == ["consent-withdrawn", "consent-withdrawn", "consent-agreed"]


def test_withdrawn_family_is_not_told(known: Cloud) -> None:
    with known.database.transaction() as connection:
        assert contact_phones(connection, "res-1", None) == ["861"]
        withdraw(connection, "res-1", Kind.FAMILY, "boss", 5)
        assert contact_phones(connection, "res-1", None) == []
        assert contact_phones(connection, None, "home-1") == []
        with pytest.raises(RefusedError, match="withdrawn already"):
            withdraw(connection, "res-1", Kind.FAMILY, "boss", 6)


@pytest.mark.parametrize(
    ("by", "guardian", "document", "said"),
    [
        (By.GUARDIAN, "", "form", "a guardian who agrees has a name"),
        (By.RESIDENT, "Wang", "form", "needs none"),
        (By.RESIDENT, "", "  ", "which document"),
    ],
)
def test_a_consent_that_says_too_little_is_refused(
    cloud: Cloud, by: By, guardian: str, document: str, said: str
) -> None:
    with pytest.raises(RefusedError, match=said), cloud.database.transaction() as connection:
        agree(connection, "res-1", Kind.FAMILY, by, guardian, document, "boss", 1)
    assert cloud.count(schema.consent) == 0


def test_the_commands(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.populate()
    file = tmp_path / "cloud.toml"
    file.write_text(f'data_dir = "{tmp_path}"\n', encoding="utf-8")

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["resident", *arguments, "--config", str(file)])

    assert run("consent", "res-1", "vitals", "--document", "form 3").exit_code == 0
    assert "form 3, by the resident" in run("consents", "res-1").output
    assert run("export", "res-1", "--to", str(tmp_path / "out")).exit_code == 0
    assert json.loads((tmp_path / "out" / "export.json").read_text())["resident"][0]["name"] == "Li"
    assert (tmp_path / "out" / "export.html").stat().st_mode & 0o077 == 0
    refused = run("erase", "res-1")
    assert isinstance(refused.exception, ConfigError)
    assert run("erase", "res-1", "--yes").exit_code == 0
    assert run("erase", "res-1", "--yes").exit_code == 0
    with cloud.database.reading() as connection:
        assert connection.execute(select(schema.resident)).all() == []
    cloud.close()


def test_a_backup_from_before_brings_nobody_back_where_the_list_is_given(tmp_path: Path) -> None:
    data = tmp_path / "center"
    data.mkdir()
    cloud = Cloud(data)
    cloud.populate()
    file, key, backup = tmp_path / "cloud.toml", tmp_path / "backup.key", tmp_path / "b"
    file.write_text(f'data_dir = "{data}"\n', encoding="utf-8")

    def run(*arguments: object) -> str:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == 0, done.output
        return done.output

    def people(folder: Path) -> list[str]:
        database = Database(sqlite_url(folder / "hearthline.db"))
        unlock(database, folder / KEY_FILE, may_make=False)  # the key has come along
        with database.reading() as connection:
            found = [row.name for row in connection.execute(select(schema.resident))]
        database.close()
        return found

    run("backup-key", "--key-file", key)
    run("backup", "--config", file, "--to", backup, "--key-file", key)
    run("resident", "erase", "res-1", "--yes", "--config", file)
    cloud.close()
    without, with_list = tmp_path / "without", tmp_path / "with"
    assert "Whoever was erased after the backup is back" in run("restore", backup, "--to", without, "--key-file", key)
    assert people(without) == ["Li"]
    listed = data / erasing.LIST_FILE
    assert "is back" not in run("restore", backup, "--to", with_list, "--key-file", key, "--erased", listed)
    assert people(with_list) == []
