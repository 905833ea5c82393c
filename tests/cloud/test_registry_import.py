"""Tables into the registry: every encoding, every problem with its row and column, and all of it or nothing."""

from __future__ import annotations

import io
import threading
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook
from sqlalchemy import insert, select

from cloud_center import Cloud
from hearthline.errors import RefusedError
from hearthline_cloud import journal, schema
from hearthline_cloud.personal import erasing
from hearthline_cloud.personal.consents import By, agree
from hearthline_cloud.personal.consents import Kind as Consent
from hearthline_cloud.personal.keys import KEY_FILE
from hearthline_cloud.personal.rotating import rotate
from hearthline_cloud.registry import importing
from hearthline_cloud.registry.checking import Plan, Rules
from hearthline_cloud.registry.editing import put
from hearthline_cloud.registry.encodings import is_garbled
from hearthline_cloud.registry.importing import Stage
from hearthline_cloud.registry.report import all_problems, as_row
from hearthline_cloud.registry.shape import FIELDS, REGISTERED, Kind
from hearthline_cloud.registry.tables import Read, read_table
from hearthline_cloud.registry.template import csv_template, workbook_template

NOW = time.time_ns()
HOMES = (
    '住家编号,社区编号,住家名称,地址\nh-1,com-1,3号楼502室,梧桐路１８弄3号\nh-2,com-1,7号楼101室,"梧桐路18弄, 7号"\n'
)
PEOPLE = "住户编号*,住家编号*,姓名*,出生年份,电话,疾病,备注\nr-1,h-1,王秀兰,1941年,０２１－5550 0142,高血压,听力不好\n"
CONTACTS = "resident,name,relation,phone\nr-1,王建国,儿子,13800000142\nr-1,李梅,女儿,\n"
GATEWAYS = "网关编号,住家编号\ngw-8,h-1\ngw-9,h-2\n"
DEVICES = (
    "网关编号,设备编号,设备名称,房间,住户编号,设备类型,监测周期\ngw-8,enocean:002EE196,挂件,卧室,r-1,push-button,\n"
)
FILES = {"homes.csv": HOMES, "住户.csv": PEOPLE, "contact.csv": CONTACTS, "网关.csv": GATEWAYS, "device.csv": DEVICES}

on_sqlite = pytest.mark.parametrize("either_url", ["sqlite"], indirect=True)  # alike on both: tried on one


def read(files: Mapping[str, str | bytes], kind: Kind | None = None) -> Read:
    found = Read()
    for name, content in files.items():
        read_table(content if isinstance(content, bytes) else content.encode(), name, kind, found)
    return found


def look(cloud: Cloud, files: dict[str, str | bytes], *, update: bool = False) -> list[tuple[int | None, str, str]]:
    """(row, column, code) of every problem."""
    found = read(files)
    plan = importing.look_through(cloud.database, found.entries, Rules(update=update), NOW)
    rows = [as_row(each) for each in all_problems(found, plan)]
    return [(row["row"], row["column"], row["code"]) for row in rows]


def bring(cloud: Cloud, files: dict[str, str | bytes], *, update: bool = False, **how: Any) -> Plan:
    found = read(files)
    assert found.problems == []
    return importing.bring_in(cloud.database, found.entries, Rules(update=update), "mei", NOW, **how)


def test_a_registry_comes_in_from_tables_in_chinese_and_english(cloud: Cloud) -> None:
    before = cloud.count(schema.journal)
    assert bring(cloud, dict(FILES)).problems == []
    person = next(row for row in cloud.rows(schema.resident) if row.id == "r-1")
    assert (person.name, person.birth_year, person.phone) == ("王秀兰", 1941, "021-5550 0142")
    assert [each["name"] for each in person.contacts] == ["王建国", "李梅"]
    homes = {row.id: row.address for row in cloud.rows(schema.home)}
    assert homes["h-1"] == "梧桐路１８弄3号"  # an address is kept as it is written
    assert homes["h-2"] == "梧桐路18弄, 7号"
    entries = cloud.rows(schema.journal)[before:]
    told = [(row.detail["do"], row.detail["kind"], row.detail["ids"]) for row in entries]
    assert told == [
        ("added", "home", ["h-1", "h-2"]), ("added", "resident", ["r-1"]), ("added", "contact", ["r-1"]),
        ("added", "gateway", ["gw-8", "gw-9"]), ("added", "device", ["gw-8/enocean:002EE196"]),
    ]  # fmt: skip
    again = bring(cloud, dict(FILES))
    assert (again.moves, sum(again.same.values())) == ([], 8)
    assert cloud.count(schema.journal) == before + 5
    with cloud.database.reading() as connection:
        assert journal.check(connection).broken_at is None
    cloud.take(cloud.gateway.press())  # and alarms go on


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
def test_every_usual_encoding_is_read(encoding: str) -> None:
    found = read({"homes.csv": HOMES.encode(encoding), "住户.csv": PEOPLE.encode(encoding)})
    assert found.problems == []
    assert [entry.raw.get("name") for entry in found.entries] == ["3号楼502室", "7号楼101室", "王秀兰"]


MISREAD = [("utf-8", "gbk"), ("gbk", "utf-8"), ("utf-8", "latin-1"), ("utf-8", "cp1252"), ("gbk", "latin-1")]


@pytest.mark.parametrize(("written", "taken_for"), MISREAD)
def test_a_garbled_file_is_told_once_and_refused(written: str, taken_for: str) -> None:
    data = PEOPLE.encode(written).decode(taken_for, "replace").encode()
    found = read({"residents.csv": data})
    assert ([each.problem.code for each in found.problems], found.entries) == (["garbled"], [])


def test_ordinary_names_are_not_taken_for_garbled() -> None:
    surnames = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘"
    surnames += "于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫"
    surnames += "段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
    surnames += "欧阳诸葛"
    given = "秀英桂兰建国玉珍淑华志强丽娟文静国庆小红联通阿宝大山铁锤"
    names = [a + b + c for a in surnames for b in given[::2] for c in given[1::2]]
    assert [name for name in names if is_garbled(name)] == []
    assert [
        name for name in ("José Müller", "Ångström", "联通", "Zoë", "梧桐路18弄3号502室", "㐂𠮷") if is_garbled(name)
    ] == []


@on_sqlite
def test_one_damaged_cell_is_told_by_its_row_and_column(cloud: Cloud) -> None:
    more = "".join(f"h-{n},com-1,{n}号楼\n" for n in range(10, 20))
    files: dict[str, str | bytes] = {"home.csv": f"id,community,name\nh-1,com-1,3\ufffd楼\nh-2,com-1,鐜嬬鍏扮\n{more}"}
    assert look(cloud, files) == [(2, "name", "unreadable"), (3, "name", "garbled-cell")]


BROKEN = """编号,社区编号,住家名称,地址,邮编
h-1,com-1,一号,,200040
h-1,com-1,又一号,,
王秀兰,com-1,二号,,
h-3,com-9,三号,,
home-1,com-1,四号,,
h-5,com-1,,,
h-6,com-1,a\0b,,

h-7,com-1,七号,{long},
h-8,com-1,路,18弄,1,2
"""
BROKEN_PEOPLE = """id,home,name,birth_year,phone
r-1,h-1,王秀兰,2941,n/a
r-2,h-99,李,,110
wang-2,h-1,Wang Wei,1941,
,h-1,赵,,
"""
BROKEN_DEVICES = """gateway,id,user,kind,supervise,resident
gw-1,x:1,one,toaster,2,
gw-x,x:1,,,,r-99
gw-7,enocean:1,,,,
"""


def test_every_problem_is_told_by_row_and_column_and_nothing_is_changed(cloud: Cloud) -> None:
    files: dict[str, str | bytes] = {
        "homes.csv": BROKEN.format(long="x" * 401), "residents.csv": BROKEN_PEOPLE, "devices.csv": BROKEN_DEVICES,
        "gateways.csv": "id,home\ngw-7,home-2\n",
    }  # fmt: skip
    homes = [
        (3, "编号", "twice"), (4, "编号", "bad-id"), (5, "社区编号", "no-such"), (6, "住家名称", "other-values"),
        (7, "住家名称", "missing"), (8, "住家名称", "nul"), (10, "地址", "too-long"),
    ]  # fmt: skip
    people = [
        (2, "birth_year", "bad-year"), (2, "phone", "bad-phone"), (3, "home", "no-such"), (4, "id", "id-is-name"),
        (5, "id", "missing"),
    ]  # fmt: skip
    devices = [
        (2, "user", "bad-number"), (2, "kind", "no-kind"), (2, "supervise", "bad-period"), (3, "gateway", "no-such"),
        (3, "resident", "no-such"), (4, "id", "elsewhere"),
    ]  # fmt: skip
    homes = [(1, "", "which-column"), *homes, (11, "", "extra-cells")]
    assert look(cloud, files) == [*homes, *people, *devices]
    found = read(files)
    assert importing.bring_in(cloud.database, found.entries, Rules(), "mei", NOW).problems
    assert (cloud.count(schema.home), cloud.count(schema.journal)) == (2, 0)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("homes.csv", b"", "empty"),
        ("list.csv", b"id,name\n", "which-kind"),
        ("homes.csv", b"name,address\n1,2\n", "no-column"),
        ("homes.csv", b"id,ID,community,name\n", "column-twice"),
        ("homes.csv", b"id,name\n\xff\xff,\x81\n", "undecodable"),
        ("homes.csv", b"\xd0\xcf\x11\xe0 old", "old-workbook"),
        ("homes.xlsx", b"PK\x03\x04 cut off", "bad-workbook"),
        ("homes.csv", b"id,name\n" + b"x" * 200_000, "bad-csv"),
        ("homes.csv", b'id,community,name,address\nh-1,com-1,a,"nobody closes this\nh-2,com-1,b,\n', "bad-csv"),
    ],
)
def test_a_file_that_is_no_table_is_told_in_a_sentence(name: str, content: bytes, code: str) -> None:
    found = read({name: content})
    assert [each.problem.code for each in found.problems] == [code]
    assert found.entries == []


@pytest.mark.parametrize("sign", [",", "\t", ";", "，"])
def test_a_table_may_be_divided_by_other_signs(sign: str) -> None:
    found = read({"gateway.csv": GATEWAYS.replace(",", sign)})
    assert [entry.raw for entry in found.entries] == [{"id": "gw-8", "home": "h-1"}, {"id": "gw-9", "home": "h-2"}]


def workbook(**sheets: list[list[object]]) -> bytes:
    book = Workbook()
    book.remove(book.worksheets[0])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    into = io.BytesIO()
    book.save(into)
    return into.getvalue()


@on_sqlite
def test_a_workbook_brings_every_sheet_and_numbers_as_a_spreadsheet_has_them(cloud: Cloud) -> None:
    data = workbook(
        住家=[["编号", "社区编号", "名称"], ["h-1", "com-1", "3号楼"]],
        residents=[
            ["id", "home", "name", "birth year", "phone"], [], ["r-1", "h-1", "王", 1941.0, 13800000142],
            ["r-2", "h-1", "李", "四一", None],
        ],
        说明=[["anything"]],
    )  # fmt: skip
    assert look(cloud, {"registry.xlsx": data}) == [(4, "birth year", "bad-year")]
    assert [entry.where.sheet for entry in read({"registry.xlsx": data}).entries] == ["住家", "residents", "residents"]
    assert look(cloud, {"registry.xlsx": workbook(Sheet1=[["id"]])}) == [(None, "", "which-sheet")]
    homes: list[list[object]] = [["id", "community", "name"], ["h-1", "com-1", "3号楼"]]
    with_empty = read({"x.xlsx": workbook(Sheet1=homes, Sheet2=[], Sheet3=[["", None]])}, Kind.HOME)
    assert ([entry.raw["id"] for entry in with_empty.entries], with_empty.problems) == (["h-1"], [])
    (nothing,) = read({"x.xlsx": workbook(Sheet1=[], Sheet2=[])}, Kind.HOME).problems
    assert nothing.problem.code == "empty"


def test_a_workbook_that_unpacks_without_end_or_declares_entities_is_refused() -> None:
    good = workbook(home=[["id", "community", "name"]])
    for change in (b'<!DOCTYPE x [<!ENTITY a "aaaa">]>', None):
        into = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as new:
            for part in old.infolist():
                data = old.read(part)
                if part.filename == "xl/workbook.xml" and change:
                    start = data.index(b"<workbook")
                    data = data[:start] + change + data[start:]
                new.writestr(part, data)
            if not change:
                with new.open("xl/media/x", "w", force_zip64=True) as large:
                    for _ in range(40):
                        large.write(bytes(1024 * 1024))
        found = Read()
        read_table(into.getvalue(), "home.xlsx", None, found, most_bytes=32 * 2**20)
        assert [each.problem.code for each in found.problems] == ["bad-workbook" if change else "too-large"]


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_template_is_understood_as_it_is_and_every_field_is_in_it(language: Any) -> None:
    data = workbook_template(REGISTERED, language, ("说明", ["…"]))
    assert [len(next(iter(sheet))) for sheet in load_workbook(io.BytesIO(data)).worksheets][:-1] == [
        len(FIELDS[kind]) for kind in REGISTERED
    ]
    found = read({"t.xlsx": data} | {f"{kind}.csv": csv_template(kind, language) for kind in REGISTERED})
    assert (found.problems, found.entries) == ([], [])


def test_what_differs_is_a_problem_and_is_changed_when_that_is_said(cloud: Cloud) -> None:
    bring(cloud, dict(FILES))
    changed: dict[str, str | bytes] = {
        "住户.csv": "住户编号,电话\nr-1,110\n", "contact.csv": "resident,name,phone\nr-1,李梅,120\nr-1,周,119\n",
    }  # fmt: skip
    assert look(cloud, changed) == [(2, "电话", "other-values"), (2, "phone", "other-values")]
    plan = bring(cloud, changed, update=True)
    assert importing.counts(plan) == {
        "resident": {"new": 0, "changed": 1, "same": 0}, "contact": {"new": 1, "changed": 1, "same": 0},
    }  # fmt: skip
    person = next(row for row in cloud.rows(schema.resident) if row.id == "r-1")
    assert (person.phone, person.name, person.illnesses) == ("110", "王秀兰", "高血压")
    assert [(each["name"], each["phone"]) for each in person.contacts] == [
        ("王建国", "13800000142"),
        ("李梅", "120"),
        ("周", "119"),
    ]
    assert look(cloud, {"resident.csv": "id,phone\nr-new,110\n"}) == [
        (None, "home", "no-column"),
        (None, "name", "no-column"),
    ]


def test_a_gateway_moves_only_without_those_who_stay(cloud: Cloud) -> None:
    """Else a press in the new home would show the old one's resident, and call that family."""
    new = "id,home,name\nr-2,home-2,陈阿宝\n"
    moved = "id,home\ngw-1,home-2\n"
    assert look(cloud, {"gateway.csv": moved}, update=True) == [(2, "home", "left-behind")] * 2
    stays = "gateway,id,resident\ngw-1,cuff:1,res-1\ngw-1,enocean:1,r-2\n"
    files: dict[str, str | bytes] = {"resident.csv": new, "gateway.csv": moved, "device.csv": stays}
    assert look(cloud, files, update=True) == [(2, "home", "left-behind")]
    bring(cloud, files | {"device.csv": stays.replace("res-1", "r-2")}, update=True)
    assert {row.home_id for row in cloud.rows(schema.gateway)} == {"home-2"}
    assert {row.resident_id for row in cloud.rows(schema.device)} == {"r-2"}


def test_a_gateway_moves_with_its_residents(cloud: Cloud) -> None:
    files: dict[str, str | bytes] = {
        "gateway.csv": "id,home\ngw-1,home-2\n",
        "resident.csv": "id,home,name\nres-1,home-2,Li\n",
    }
    assert bring(cloud, files, update=True).problems == []
    assert {row.resident_id for row in cloud.rows(schema.device)} == {"res-1"}


class Meddler:
    """Does something once the entries are sealed, before they are written."""

    def __init__(self, deed: Any, times: int = 1) -> None:
        self.deed, self.left, self.stages = deed, times, list[Stage]()

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        self.stages.append(stage)
        if stage is Stage.WRITE and done == 0 and self.left:
            self.left -= 1
            self.deed()


def test_who_is_erased_while_the_file_is_sealed_does_not_come_back(cloud: Cloud) -> None:
    bring(cloud, dict(FILES))
    meddler = Meddler(lambda: erasing.erase(cloud.database, "r-1", "boss", NOW))
    plan = bring(cloud, {"resident.csv": "id,phone\nr-1,110\n"}, update=True, progress=meddler)
    codes = [found.problem.code for found in plan.problems]
    assert codes == ["erased", "missing", "missing"]
    assert "r-1" not in [row.id for row in cloud.rows(schema.resident)]


def test_a_new_key_of_the_center_meanwhile_leaves_nothing_that_cannot_be_read(cloud: Cloud) -> None:
    meddler = Meddler(lambda: rotate(cloud.database, cloud.folder / KEY_FILE, forget_old=True))
    assert bring(cloud, dict(FILES), progress=meddler).problems == []
    assert meddler.stages.count(Stage.WRITE) == 3  # once in vain
    assert next(row.name for row in cloud.rows(schema.resident) if row.id == "r-1") == "王秀兰"


def test_a_consent_meanwhile_that_makes_the_residents_key_is_no_fault(cloud: Cloud) -> None:
    with cloud.database.transaction() as connection:  # of whom nothing personal is known yet
        connection.execute(insert(schema.resident).values(id="r-3", home_id="home-1", name="", contacts=""))
    assert "resident:r-3" not in {row.subject for row in cloud.rows(schema.personal_key)}

    def deed() -> None:
        with cloud.database.transaction() as connection:
            agree(connection, "r-3", Consent.VITALS, By.GUARDIAN, "王建国", "form 3", "jun", NOW)

    meddler = Meddler(deed)
    bring(cloud, {"resident.csv": "id,home,name\nr-3,home-1,周\n"}, update=True, progress=meddler)
    assert meddler.stages.count(Stage.WRITE) == 3  # once in vain
    assert next(row.name for row in cloud.rows(schema.resident) if row.id == "r-3") == "周"
    assert [row.guardian for row in cloud.rows(schema.consent)] == ["王建国"]


@on_sqlite
@pytest.mark.parametrize(
    ("kind", "values", "checks", "codes"),
    [
        (Kind.DEVICE, {"gateway": "gw-1", "id": "enocean:9"}, 1, []),  # bound in another home
        (Kind.HOME, {"id": "home-2", "name": "2"}, 1, []),
        (Kind.DEVICE, {"gateway": "gw-1", "id": "enocean:002EE196"}, 2, ["elsewhere"]),
        (Kind.DEVICE, {"gateway": "gw-8", "id": "enocean:002EE196", "room": "x"}, 2, []),
        (Kind.GATEWAY, {"id": "gw-8", "home": "home-2"}, 2, []),
        (Kind.HOME, {"id": "h-1", "name": "2"}, 2, []),
    ],
)  # fmt: skip
def test_only_a_change_of_what_the_file_is_about_makes_it_checked_again(
    cloud: Cloud, kind: Kind, values: dict[str, Any], checks: int, codes: list[str]
) -> None:
    bring(cloud, {name: content for name, content in FILES.items() if name != "device.csv"})
    assert meddled(cloud, {"device.csv": DEVICES}, kind, values) == (checks, codes)


@on_sqlite
def test_a_move_and_a_list_of_contacts_are_checked_again_when_others_change_what_they_rest_on(cloud: Cloud) -> None:
    bring(cloud, {name: content for name, content in FILES.items() if name != "device.csv"})
    person: dict[str, str | bytes] = {"resident.csv": "id,phone\nr-1,110\n"}
    contact = {"resident": "r-1", "name": "周", "phone": "1190"}
    assert meddled(cloud, person, Kind.CONTACT, contact) == (2, [])
    gateway: dict[str, str | bytes] = {"gateway.csv": "id,home\ngw-8,home-2\n"}
    own = {"gateway": "gw-8", "id": "x:1", "resident": "r-1"}
    assert meddled(cloud, gateway, Kind.DEVICE, own) == (2, ["left-behind"])


def meddled(cloud: Cloud, files: dict[str, str | bytes], kind: Kind, values: dict[str, Any]) -> tuple[int, list[str]]:
    """How often the one entry of `files` was checked where somebody puts `values` meanwhile, and what was wrong."""

    def deed() -> None:
        with cloud.database.transaction() as connection:
            put(connection, kind, values, "jun", NOW)

    meddler = Meddler(deed)
    plan = bring(cloud, files, update=True, progress=meddler)
    return meddler.stages.count(Stage.CHECK), [found.problem.code for found in plan.problems]


@on_sqlite
def test_somebody_who_changes_the_registry_all_the_time_is_told(cloud: Cloud) -> None:
    def deed() -> None:
        with cloud.database.transaction() as connection:
            put(connection, Kind.COMMUNITY, {"id": "com-1", "name": str(time.monotonic_ns())}, "jun", NOW)

    with pytest.raises(RefusedError, match="by others"):
        bring(cloud, dict(FILES), progress=Meddler(deed, 10))
    assert cloud.count(schema.gateway) == 1


def test_a_file_of_many_homes_comes_in_whole_while_presses_are_committed(cloud: Cloud) -> None:
    homes = "id,community,name\n" + "".join(f"h-{n},com-1,{n}号楼\n" for n in range(1200))
    over, waits = threading.Event(), list[float]()

    def press() -> None:
        while not over.is_set():
            began = time.perf_counter()
            cloud.take(cloud.gateway.press())
            waits.append(time.perf_counter() - began)

    presser = threading.Thread(target=press)
    presser.start()
    try:
        assert bring(cloud, {"home.csv": homes}).problems == []
    finally:
        over.set()
        presser.join()
    assert cloud.count(schema.home) == 1202
    with cloud.database.reading() as connection:
        told = connection.execute(select(schema.journal.c.detail).where(schema.journal.c.kind == "registry")).scalars()
        assert [len(each["ids"]) for each in told] == [1000, 200]
        assert journal.check(connection).broken_at is None
    assert waits


@on_sqlite
def test_a_killed_import_leaves_nothing(cloud: Cloud, tmp_path: Path) -> None:
    class CutError(Exception):
        pass

    def cut(connection: Any) -> None:
        raise CutError

    with pytest.raises(CutError):
        bring(cloud, dict(FILES), also=cut)
    assert (cloud.count(schema.home), cloud.count(schema.journal)) == (2, 0)
    keys = [row.subject for row in cloud.rows(schema.personal_key)]
    assert "resident:r-1" not in keys
