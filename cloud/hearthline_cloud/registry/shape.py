"""What the registry holds: its kinds and their fields, as files, commands and the API name them. One table for all.

A value is text, a whole number, or None for "nothing"; a field that is not given is left as it is. What is personal is
named to nobody in a message: a problem says the place, not the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Table

from hearthline_cloud import schema

Values = dict[str, Any]
"""By the names of `FIELDS`; of a resident also `contacts`, a list of {"name", "relation", "phone"}."""


class Kind(StrEnum):
    """In the order in which they refer to each other."""

    COMMUNITY = "community"
    HOME = "home"
    RESIDENT = "resident"
    CONTACT = "contact"  # stands in its resident's row
    GATEWAY = "gateway"
    DEVICE = "device"
    VOLUNTEER = "volunteer"
    STAFF = "staff"  # accounts: `people.accounts` keeps them, and `hearthline staff import` alone brings them in


class Form(StrEnum):
    """How a value is written."""

    ID = "id"  # 1 to `longest` letters, digits, ".", "_", "-": on the wire, in tags and paths
    DEVICE_ID = "device-id"  # as the gateway names it
    TEXT = "text"
    PHONE = "phone"
    YEAR = "year"
    NUMBER = "number"
    DEVICE_KIND = "device-kind"  # of `alerts.profiles`
    PERIOD = "period"  # 12h, off


@dataclass(frozen=True, slots=True)
class Field:
    """`heading`, `also`: what a table's column may be called besides `name`. `column`: in the database, if not so."""

    name: str
    heading: str
    form: Form = Form.TEXT
    longest: int = 200
    needed: bool = False
    refers: Kind | None = None
    column: str = ""
    also: tuple[str, ...] = ()

    @property
    def stored(self) -> str:
        return self.column or self.name


def _id(heading: str, longest: int = 64, form: Form = Form.ID) -> Field:
    return Field("id", heading, form, longest, needed=True, also=("编号", "ID"))


def _ref(name: str, heading: str, *also: str, needed: bool = True) -> Field:
    return Field(name, heading, Form.ID, 64, needed, Kind(name), f"{name}_id", also)


_RESIDENT_ALSO = ("老人编号", "居民编号")
FIELDS: dict[Kind, tuple[Field, ...]] = {
    Kind.COMMUNITY: (
        _id("社区编号"),
        Field("name", "社区名称", needed=True, also=("名称",)),
    ),
    Kind.HOME: (
        _id("住家编号"),
        _ref("community", "社区编号", "社区"),
        Field("name", "住家名称", needed=True, also=("名称", "门牌", "门牌号")),
        Field("address", "地址", longest=400, also=("住址", "详细地址")),
    ),
    Kind.RESIDENT: (
        Field("id", "住户编号", Form.ID, 64, needed=True, also=("编号", "ID", *_RESIDENT_ALSO)),
        _ref("home", "住家编号", "住家"),
        Field("name", "姓名", needed=True, also=("住户姓名", "老人姓名")),
        Field("birth_year", "出生年份", Form.YEAR, also=("出生年", "birth year", "year of birth")),
        Field("phone", "电话", Form.PHONE, 40, also=("联系电话", "手机", "手机号", "电话号码", "telephone")),
        Field("illnesses", "疾病", longest=2000, also=("病史", "疾病史")),
        Field("notes", "备注", longest=2000, also=("说明",)),
    ),
    Kind.CONTACT: (
        _ref("resident", "住户编号", *_RESIDENT_ALSO),
        Field("name", "姓名", needed=True, also=("联系人", "联系人姓名")),
        Field("relation", "关系", longest=64, also=("与住户关系", "与老人关系")),
        Field("phone", "电话", Form.PHONE, 40, also=("联系电话", "手机", "手机号", "电话号码", "telephone")),
    ),
    Kind.GATEWAY: (
        _id("网关编号"),
        _ref("home", "住家编号", "住家"),
    ),
    Kind.DEVICE: (
        _ref("gateway", "网关编号", "网关"),
        _id("设备编号", 128, Form.DEVICE_ID),
        Field("name", "设备名称", also=("名称",)),
        Field("room", "房间", also=("位置",)),
        _ref("resident", "住户编号", *_RESIDENT_ALSO, needed=False),
        Field("user", "用户号", Form.NUMBER, column="user_number", also=("血压计用户",)),
        Field("kind", "设备类型", Form.DEVICE_KIND, 32, also=("类型",)),
        Field("supervise", "监测周期", Form.PERIOD, 16, column="supervise_s", also=("周期",)),
    ),
    Kind.VOLUNTEER: (
        _id("志愿者编号", 48),
        _ref("community", "社区编号", "社区"),
        Field("name", "姓名", needed=True, also=("志愿者姓名",)),
        Field("phone", "电话", Form.PHONE, 40, needed=True, also=("联系电话", "手机", "手机号", "电话号码")),
    ),
    Kind.STAFF: (
        Field("name", "账号", Form.TEXT, 64, needed=True, also=("姓名", "登录名")),
        Field("role", "角色", Form.TEXT, 32, needed=True, also=("职责",)),
        Field("communities", "社区", Form.TEXT, 2000, also=("社区编号", "community")),
    ),
}

TABLES: dict[Kind, Table] = {
    Kind.COMMUNITY: schema.community,
    Kind.HOME: schema.home,
    Kind.RESIDENT: schema.resident,
    Kind.GATEWAY: schema.gateway,
    Kind.DEVICE: schema.device,
    Kind.VOLUNTEER: schema.volunteer,
}

REGISTERED = tuple(kind for kind in Kind if kind is not Kind.STAFF)

Key = tuple[str, ...]
"""What an entry is found by: its id; of a device gateway and id; of a contact resident and name."""

_KEYS: dict[Kind, tuple[str, ...]] = {
    Kind.DEVICE: ("gateway", "id"),
    Kind.CONTACT: ("resident", "name"),
    Kind.STAFF: ("name",),
}


def key_fields(kind: Kind) -> tuple[str, ...]:
    return _KEYS.get(kind, ("id",))


def key_of(kind: Kind, values: Values) -> Key:
    """Raises KeyError for an entry that lacks a part of it."""
    return tuple(values[name] for name in key_fields(kind))


def pseudonym(kind: Kind, key: Key) -> str:
    """As which the journal names an entry: never by a person's name."""
    return key[0] if kind is Kind.CONTACT else "/".join(key)


def field_of(kind: Kind, name: str) -> Field:
    return next(field for field in FIELDS[kind] if field.name == name)


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an entry: the text's key in `texts`, the field, and what the text names. No personal data."""

    code: str
    field: str = ""
    facts: tuple[tuple[str, str], ...] = ()


def problem(code: str, field: str = "", **facts: object) -> Problem:
    return Problem(code, field, tuple((name, str(value)) for name, value in facts.items()))
