"""`hearthline gateway code` and `bundle`, the label that they draw, and the desk's loop that signs."""

from __future__ import annotations

import io
import json
import re
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import segno
from sqlalchemy import insert, select
from typer.testing import CliRunner, Result

from hearthline.clock import NS
from hearthline.enrolment import Kind, decode_kit, open_sealed, unlock
from hearthline.enrolment_code import label_text, new_code, read_label
from hearthline.errors import ConfigError, HearthlineError, RefusedError
from hearthline.speech import CHOSEN
from hearthline_cloud import commands_identity, schema, withdrawn
from hearthline_cloud.commands_gateway import gateway as app
from hearthline_cloud.config import load_cloud_config
from hearthline_cloud.database import Database
from hearthline_cloud.enrolment.labels import Label, draw
from hearthline_cloud.enrolment.offers import ask, offer
from hearthline_cloud.enrolment.signer import Signer
from hearthline_cloud.identity.authority import Authority, utc_now
from hearthline_cloud.personal.opening import open_database
from hearthline_edge.requesting import new_key, signing_request

LABEL = Label("gw-east-1", "https://center.example.org", new_code(secrets.choice), "-> 2026-11-25T14:00Z")


def write_config(folder: Path) -> Path:
    path = folder / "cloud.toml"
    path.write_text(
        f'data_dir = "{folder}"\n[identity]\nfolder = "{folder}/pki"\nbroker = "{folder}/broker"\n'
        'names = ["broker.example.org"]\n[web]\npublic_url = "https://center.example.org"\n'
    )
    return path


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a center with an authority and the gateway `gw-1`."""
    folder = tmp_path_factory.mktemp("center")
    path = write_config(folder)
    commands_identity.init(folder / "root", "East")
    commands_identity.issuing(folder / "root", path, "East")
    database = open_database(load_cloud_config(path))
    with database.transaction() as connection:
        connection.execute(insert(schema.gateway).values(id="gw-1"))
    database.close()
    return folder


@pytest.fixture
def config(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it for this test."""
    monkeypatch.setenv(CHOSEN, "en")
    shutil.copytree(template, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("wake"))
    return write_config(tmp_path)


@pytest.fixture
def database(config: Path) -> Iterator[Database]:
    opened = open_database(load_cloud_config(config))
    yield opened
    opened.close()


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--config", str(config)])


def error_of(result: Result) -> HearthlineError:
    assert isinstance(result.exception, HearthlineError), (result.output, result.exception)
    return result.exception


def test_a_code_is_printed_once_with_what_to_type_on_the_gateway(config: Path, database: Database) -> None:
    told = json.loads(run(config, "code", "gw-1", "--hours", "2", "--json").stdout)
    code = read_label(told["code"]).code
    assert told["center"] == "https://center.example.org"
    with database.reading() as connection:
        row = connection.execute(select(schema.enrolment)).one()
    assert row.id == code.offer
    assert row.verifier == unlock(code).verifier
    assert 0 < row.ends_ns - time.time_ns() <= 2 * 3600 * NS
    human = run(config, "code", "gw-1").stdout
    printed = re.search(r"^    (\S+)$", human, re.MULTILINE)
    assert printed is not None
    assert f"hearthline gateway enrol {printed[1]} --center https://center.example.org" in human
    assert code.secret not in "".join(str(line) for line in dump(config))


def dump(config: Path) -> list[str]:
    """Everything in the database, as text."""
    return list(sqlite3.connect(config.parent / "hearthline.db").iterdump())


def test_it_speaks_chinese(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHOSEN, "zh")
    assert "只能用一次" in run(config, "code", "gw-1").stdout
    assert "没有网关" in str(error_of(run(config, "code", "gw-9")))


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        (["code", "gw-9"], RefusedError, "there is no gateway gw-9"),
        (["code", "gw-1", "--hours", "0"], RefusedError, "--hours"),
        (["code", "gw-1", "--label", "label.jpg"], ConfigError, ".svg, .pdf or .png"),
        (["code", "gw-1", "--url", "center"], ConfigError, "--url center"),
        (["code", "gw-1", "--label", "/nowhere/label.svg"], ConfigError, "cannot be written"),
        (["bundle", "gw-1", "--out", "/nowhere/b"], ConfigError, "cannot be written"),
        (["bundle", "gw-1", "--out", "/"], RefusedError, "not written over"),
    ],
)
def test_what_cannot_be_done_is_told(
    config: Path, database: Database, arguments: list[str], kind: type[HearthlineError], said: str
) -> None:
    error = error_of(run(config, *arguments))
    assert isinstance(error, kind)
    assert said in str(error)
    with database.reading() as connection:
        valid = schema.certificate.c.revoked_ns.is_(None)
        assert connection.execute(select(schema.certificate).where(valid)).all() == []


def test_a_code_is_told_though_its_label_cannot_be_written(config: Path, database: Database) -> None:
    """The code before is withdrawn: somebody has to have the new one."""
    result = run(config, "code", "gw-1", "--label", "/nowhere/label.svg", "--json")
    assert "cannot be written" in str(error_of(result))
    told = json.loads(result.stdout)
    assert told["label"] is None
    with database.reading() as connection:
        assert connection.execute(select(schema.enrolment.c.id)).scalars().all() == [
            read_label(told["code"]).code.offer
        ]


def test_without_an_authority_there_is_no_code(tmp_path: Path) -> None:
    config = tmp_path / "cloud.toml"
    config.write_text(f'data_dir = "{tmp_path}"\n')
    assert "[identity]" in str(error_of(run(config, "code", "gw-1")))


def test_a_bundle_is_a_file_for_its_owner_that_its_code_opens(config: Path, tmp_path: Path) -> None:
    file, label = tmp_path / "gw-1.hearthline", tmp_path / "label.png"
    told = json.loads(run(config, "bundle", "gw-1", "--out", str(file), "--label", str(label), "--json").stdout)
    assert file.stat().st_mode & 0o777 == label.stat().st_mode & 0o777 == 0o600
    keys = unlock(read_label(told["code"]).code)
    kit = decode_kit(open_sealed(keys.key(Kind.BUNDLE), Kind.BUNDLE, keys.offer, file.read_bytes()))
    assert (kit.gateway, kit.host, kit.port) == ("gw-1", "broker.example.org", 8883)
    assert b"PRIVATE" not in file.read_bytes()


def test_a_bundle_that_is_replaced_unused_stays_revoked_after_a_restore(config: Path, tmp_path: Path) -> None:
    assert run(config, "bundle", "gw-1", "--out", str(tmp_path / "b")).exit_code == 0
    assert run(config, "code", "gw-1", "--again").exit_code == 0
    (line,) = withdrawn.read(tmp_path / "withdrawn.jsonl")
    assert (line.name, len(line.certificates)) == ("gw-1", 2)


@pytest.mark.parametrize("unwritten", ["--out", "--label"])
def test_a_bundle_that_cannot_be_written_is_taken_back_once_others_wait_no_more(
    config: Path, database: Database, tmp_path: Path, unwritten: str
) -> None:
    """It was committed before it was written: the journal has both, and nobody waited for the stick."""
    files = {"--out": str(tmp_path / "b"), "--label": str(tmp_path / "label.svg")}
    files[unwritten] = f"/nowhere/{Path(files[unwritten]).name}"
    result = run(config, "bundle", "gw-1", *(each for pair in files.items() for each in pair))
    assert "cannot be written" in str(error_of(result))
    assert "This code for gw-1 was withdrawn" in result.stderr
    with database.reading() as connection:
        told = connection.execute(select(schema.journal.c.kind).order_by(schema.journal.c.id)).scalars().all()
        assert connection.execute(select(schema.enrolment.c.sealed)).scalars().all() == [""]
        revoked = connection.execute(select(schema.certificate.c.serial, schema.certificate.c.revoked_ns)).all()
    assert told == ["enrolment-offered", "certificate-issued", "certificate-revoked", "enrolment-withdrawn"]
    assert all(row.revoked_ns is not None for row in revoked)
    (line,) = withdrawn.read(tmp_path / "withdrawn.jsonl")
    assert {each.serial for each in line.certificates} == {row.serial for row in revoked}
    assert len(revoked) == 2
    assert not (tmp_path / "b").exists()
    assert run(config, "bundle", "gw-1", "--out", str(tmp_path / "again")).exit_code == 0, "no --again is needed"


# --- the label ---


def modules() -> list[list[bool]]:
    code = segno.make(label_text(LABEL.center, LABEL.code), error="m", micro=False)
    return [[bool(module) for module in row] for row in code.matrix]


def drawn(runs: list[tuple[float, float, float]], size: float) -> list[list[bool]]:
    """The modules that runs of (left, top, width) darken."""
    count = len(modules())
    dark = [[False] * count for _ in range(count)]
    for left, top, width in runs:
        for step in range(round(width / size)):
            dark[round(top / size) - 4][round(left / size) - 4 + step] = True
    return dark


def test_what_is_drawn_is_the_qr_code_with_its_quiet_zone() -> None:
    size = 29.0 / (len(modules()) + 8)
    assert size > 0.4, "a phone reads no smaller module"
    svg = draw(LABEL, "svg").decode()
    found = re.findall(r"M([\d.]+) ([\d.]+)h([\d.]+)v", svg)
    assert drawn([(float(x), float(y), float(w)) for x, y, w in found], size) == modules()
    pdf = draw(LABEL, "pdf").decode("ascii")
    found = re.findall(r"^([\d.]+) ([\d.]+) ([\d.]+) [\d.]+ re$", pdf, re.MULTILINE)
    assert drawn([(float(x), float(y), float(w)) for x, y, w in found], size) == modules()
    for words in ("gw-east-1", LABEL.code.text[:15], LABEL.code.text[15:], "center.example.org"):
        assert words in svg
        assert words in pdf


def test_the_png_is_the_qr_code() -> None:
    wanted = io.BytesIO()
    segno.make(label_text(LABEL.center, LABEL.code), error="m", micro=False).save(
        wanted, kind="png", scale=10, border=4
    )
    assert draw(LABEL, "png") == wanted.getvalue()


def test_every_object_of_the_pdf_is_where_its_table_says() -> None:
    pdf = draw(Label("gw(1)\\", "", LABEL.code, ""), "pdf")
    begin = int(re.findall(rb"startxref\n(\d+)", pdf)[0])
    assert pdf[begin : begin + 4] == b"xref"
    places = [int(each) for each in re.findall(rb"^(\d{10}) 00000 n", pdf, re.MULTILINE)]
    assert len(places) == 5
    for number, place in enumerate(places, 1):
        assert pdf[place:].startswith(b"%d 0 obj" % number)
    length = int(re.findall(rb"/Length (\d+)", pdf)[0])
    stream = pdf.split(b"stream\n")[1]
    assert stream[length:].startswith(b"\nendstream")
    assert b"(gw\\(1\\)\\\\)" in pdf


def test_odd_words_make_no_element_of_the_svg() -> None:
    assert b"<script" not in draw(Label("<script>", "", LABEL.code, ""), "svg")


# --- the desk's loop ---


@pytest.fixture
def signer(config: Path, database: Database) -> Iterator[Signer]:
    """Its rounds are made by the test; in the end it starts and stops."""
    made = Signer(load_cloud_config(config), database)
    yield made
    made.start()
    made.stop()
    assert made.failed() is None


def test_the_desk_signs_what_was_asked_for_and_notes_what_it_revoked(
    config: Path, database: Database, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = load_cloud_config(config)
    authority, keys = Authority(config.parent / "pki", utc_now()), unlock(new_code(secrets.choice), 2**4)
    commands_identity.issue("gw-1", config.parent / "old", config)
    with database.transaction() as connection:
        offer(connection, authority, keys, "gw-1", time.time_ns(), hours=1, again=True, actor="mei")
    request = signing_request("", new_key()).decode()
    assert ask(database, keys.offer, request, keys.prove(request), time.time_ns()) == ""
    key = config.parent / "pki" / "issuing.key"
    key.rename(key.with_suffix(".away"))
    signer.round(time.time_ns(), 0.0)
    assert ask(database, keys.offer, request, keys.prove(request), time.time_ns()) == "", "it waits for the key"
    key.with_suffix(".away").rename(key)
    with caplog.at_level("INFO"):
        signer.round(time.time_ns(), 1.0)
    assert "was answered" in caplog.text
    assert ask(database, keys.offer, request, keys.prove(request), time.time_ns()) != ""
    (line,) = withdrawn.read(settings.withdrawn_path)
    assert len(line.certificates) == 2


def test_a_clock_that_is_set_forward_ends_nothing_until_a_day_has_run(
    config: Path, database: Database, signer: Signer, tmp_path: Path
) -> None:
    assert run(config, "bundle", "gw-1", "--hours", "1", "--out", str(tmp_path / "b")).exit_code == 0
    now_ns, day_s = time.time_ns(), 24 * 3600.0
    ahead_ns = now_ns + 30 * 24 * 3600 * NS

    def is_kept() -> bool:
        with database.reading() as connection:
            sealed = connection.execute(select(schema.enrolment.c.sealed)).scalar_one()
            revoked = connection.execute(select(schema.certificate.c.revoked_ns)).scalars().all()
        assert {at is None for at in revoked} == {bool(sealed)}
        return bool(sealed)

    for at_ns, mono_s in ((now_ns, 0.0), (ahead_ns, 60.0), (ahead_ns, day_s), (now_ns, day_s + 60)):
        signer.round(at_ns, mono_s)  # set forward for nearly a day, and right again
        assert is_kept()
    signer.round(ahead_ns, 2 * day_s)
    signer.round(ahead_ns, 3 * day_s - 1)
    assert is_kept(), "what was counted before the clock was right counts no more"
    signer.round(ahead_ns, 3 * day_s + 60)
    assert not is_kept()
    (line,) = withdrawn.read(tmp_path / "withdrawn.jsonl")
    assert len(line.certificates) == 2


def test_who_is_refused_is_not_told_as_answered(
    config: Path, database: Database, signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    authority, keys = Authority(config.parent / "pki", utc_now()), unlock(new_code(secrets.choice), 2**4)
    with database.transaction() as connection:
        offer(connection, authority, keys, "gw-1", time.time_ns(), hours=1, again=False, actor="mei")
    request = signing_request("", new_key()).decode()
    ask(database, keys.offer, request, keys.prove(request), time.time_ns())
    commands_identity.issue("gw-1", config.parent / "old", config)
    with caplog.at_level("INFO"):
        signer.round(time.time_ns(), 0.0)
    assert "was refused" in caplog.text
    assert "was answered" not in caplog.text
