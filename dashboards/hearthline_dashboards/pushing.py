"""Bring a Grafana to what is built here, and say what was changed. A second run changes nothing.

    missing ......................... made, in its folder
    last saved by us, the same ...... left alone
    last saved by us, another ....... saved as the next version, where it lies now
    last saved by somebody else ..... left alone and told, unless it is to be overwritten

Whose the last version is stands in its message: each carries the fingerprint of what was saved. So nothing depends on
how Grafana writes a dashboard back, and a dashboard that was moved, or a folder that was renamed, stays so.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from hearthline_dashboards.board import TAG, Board, Setting
from hearthline_dashboards.building import as_tree
from hearthline_dashboards.grafana import ChangedMeanwhileError, Grafana

Did = Literal["made", "changed", "the same", "left alone", "refused"]
_MESSAGE = re.compile(r"hearthline dashboards push ([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class Step:
    """What was done about one thing, and why where that needs a word."""

    kind: Literal["folder", "data source", "dashboard"]
    uid: str
    did: Did
    why: str = ""
    version: int | None = None


@dataclass(frozen=True, slots=True)
class InfluxLogin:
    """What a new data source is made with."""

    url: str
    database: str
    username: str = ""
    password: str = ""


def push(
    grafana: Grafana, boards: Iterable[Board], login: InfluxLogin | None = None, *, overwrite: bool = False
) -> Iterator[Step]:
    """One step after the other; what is done stays done. Raises LinkError when Grafana cannot go on."""
    if login is not None:
        yield _datasource(grafana, login)
    folders: dict[str, str] = {}
    for board in boards:
        language = board.setting.language
        if language not in folders:
            folders[language] = f"{TAG}-{language}"
            yield _folder(grafana, folders[language], board.setting)
        yield _dashboard(grafana, as_tree(board), folders[language], overwrite)


def fingerprint(tree: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:16]


def datasource(login: InfluxLogin) -> dict[str, Any]:
    """As `POST /api/datasources` takes it."""
    body: dict[str, Any] = {
        "uid": f"{TAG}-influxdb",
        "name": "Hearthline influxdb",
        "type": "influxdb",
        "access": "proxy",
        "url": login.url,
        "jsonData": {"dbName": login.database, "httpMode": "POST", "version": "InfluxQL"},
    }
    if login.username:
        body |= {"user": login.username, "secureJsonData": {"password": login.password}}
    return body


def _datasource(grafana: Grafana, login: InfluxLogin) -> Step:
    body = datasource(login)
    if grafana.datasource(body["uid"]) is not None:
        return Step("data source", body["uid"], "left alone", "it is there; its address and login are not touched")
    grafana.make_datasource(body)
    return Step("data source", body["uid"], "made")


def _folder(grafana: Grafana, uid: str, setting: Setting) -> Step:
    found = grafana.folder(uid)
    if found is None:
        grafana.make_folder(uid, setting.folder)
        return Step("folder", uid, "made")
    return Step("folder", uid, "the same")


def _dashboard(grafana: Grafana, tree: dict[str, Any], folder: str, overwrite: bool) -> Step:
    uid, mark = str(tree["uid"]), fingerprint(tree)
    found = grafana.dashboard(uid)
    version = None
    if found is not None:
        meta, version = found.get("meta", {}), int(found["dashboard"].get("version") or 0)
        if meta.get("provisioned"):
            return Step("dashboard", uid, "left alone", "it is provisioned from a file; change the file", version)
        last = _MESSAGE.search(grafana.last_message(uid))
        if last is not None and last[1] == mark:
            return Step("dashboard", uid, "the same", version=version)
        if last is None and not overwrite:
            why = "somebody else saved it last; --overwrite replaces that, and its history keeps it"
            return Step("dashboard", uid, "refused", why, version)
        folder = str(meta.get("folderUid") or "")  # wherever it lies now
    try:
        saved = grafana.save(tree, folder, version, f"hearthline dashboards push {mark}")
    except ChangedMeanwhileError as error:
        return Step("dashboard", uid, "refused", str(error), version)
    return Step("dashboard", uid, "made" if found is None else "changed", version=saved)
