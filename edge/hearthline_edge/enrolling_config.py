"""The files of a gateway that was enrolled, as text. Pure.

A machine that was this gateway before keeps what its installer wrote: of its `edge.toml` only `gateway` and `[uplink]`
are new.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hearthline.enrolment import Kit
from hearthline.toml_text import to_toml

EDGE = "edge.toml"
KEY, CERTIFICATE, SECOND, ROOT = "uplink.key", "uplink.crt", "second.crt", "ca.crt"
DATA_DIR: Final = "/var/lib/hearthline-edge"
_HEADER = re.compile(r"^\s*\[+\s*([^\]]+?)\s*\]+\s*(#.*)?$")
_GATEWAY = re.compile(r"^\s*gateway\s*=")
_ENOCEAN = "EnOcean"


@dataclass(frozen=True, slots=True)
class Machine:
    """What was found here. `ports`: of /dev/serial/by-id."""

    has_broker: bool
    ports: Sequence[str] = ()


def edge_toml(kit: Kit, folder: Path, data_dir: str, machine: Machine, day: str) -> str:
    """Of a machine that is new."""
    lines = [
        f"# Made by `hearthline gateway enrol` on {day}; from now on it is yours. Every key: docs/examples/edge.toml.",
        "",
        f"gateway = {_text(kit.gateway)}",
        f"data_dir = {_text(data_dir)}",
        "",
        *_uplink(kit, folder),
        "",
    ]
    if machine.has_broker:
        lines += ["[local_mqtt]                # mosquitto is installed here", 'host = "127.0.0.1"', "port = 1883"]
    else:
        lines += ["# [local_mqtt]              # no mosquitto was found here; with one, take the signs away"]
        lines += ['# host = "127.0.0.1"', "# port = 1883"]
    return "\n".join([*lines, *_serial(machine.ports), ""])


def _uplink(kit: Kit, folder: Path) -> list[str]:
    files = {"ca_file": ROOT, "cert_file": CERTIFICATE, "second_cert_file": SECOND, "key_file": KEY}
    lines = ["[uplink]", f"host = {_text(kit.host)}", f"port = {kit.port}"]
    lines += [f"{key} = {_text(str(folder / name))}" for key, name in files.items()]
    return lines + ["replace_key = true          # this key came in a file"] * bool(kit.key)


def _serial(ports: Iterable[str]) -> list[str]:
    """An EnOcean stick says what it is; what other adapters lead to, nobody can see."""
    lines = []
    for number, port in enumerate(ports):
        known = _ENOCEAN in port
        sign = "" if known else "# "
        lines += (
            ["", "[[serial]]"] if known else ["", "# [[serial]]                # found here; say which family it is"]
        )
        lines += [f'{sign}name = "port{number}"', f"{sign}port = {_text(port)}"]
        lines += [f"{sign}driver = {_text('enocean-esp3' if known else '…')}"]
    return lines


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def renewed_toml(text: str, kit: Kit, folder: Path) -> str | None:
    """The installer's file with another `gateway` and `[uplink]`; None where that cannot be done faithfully.

    Where `uplink` is no table of its own, the whole is written anew, without the comments.
    """
    try:
        before = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    wanted = before | {"gateway": kit.gateway, "uplink": tomllib.loads("\n".join(_uplink(kit, folder)))["uplink"]}
    made = _with_lines_replaced(text, kit, folder)
    with suppress(tomllib.TOMLDecodeError, RecursionError):
        if tomllib.loads(made) == wanted:
            return made
    try:
        return to_toml(wanted)
    except (ValueError, RecursionError):
        return None


def is_renewed(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether they are one gateway's and say the same but for `[uplink]`."""
    return bool(before) and {**before, "uplink": None} == {**after, "uplink": None}


def _with_lines_replaced(text: str, kit: Kit, folder: Path) -> str:
    lines, inside = [], ""
    for line in text.splitlines():
        header = _HEADER.match(line)
        inside = header[1] if header else inside
        if inside.split(".")[0].strip("\"' ") == "uplink":
            continue
        lines.append(f"gateway = {_text(kit.gateway)}" if not inside and _GATEWAY.match(line) else line)
    return "\n".join([*lines, "", *_uplink(kit, folder), ""])
