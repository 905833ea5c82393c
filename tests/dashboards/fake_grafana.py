"""A server that holds requests to Grafana's documented HTTP API, and answers as it does: folders, dashboards, their
versions, data sources, annotations.

Written from Grafana's documentation of the API (docs/dashboards.md says what that does not prove). Whatever is not
documented there (a path, a field, a missing one) is answered with 400 or 404 and kept in `violations`.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

EDITOR, VIEWER = "glsa_editor", "glsa_viewer"
UID = re.compile(r"[a-zA-Z0-9\-_]{1,40}")
Answer = tuple[int, Any]


@dataclass
class State:
    """What this Grafana holds. `before_save` runs ahead of each save, as another person would."""

    folders: dict[str, dict[str, Any]] = field(default_factory=dict)
    dashboards: dict[str, dict[str, Any]] = field(default_factory=dict)  # uid -> dashboard, folderUid, versions
    datasources: dict[str, dict[str, Any]] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    before_save: Callable[[], None] = lambda: None
    version: int = 11  # of Grafana: since 11 versions come with a cursor

    @property
    def writes(self) -> list[str]:
        return [request for request in self.requests if not request.startswith("GET")]

    def edit(self, uid: str, title: str, message: str = "") -> None:
        """As somebody does in the browser."""
        held = self.dashboards[uid]
        held["dashboard"] = {**held["dashboard"], "title": title, "version": held["dashboard"]["version"] + 1}
        held["versions"].append({"version": held["dashboard"]["version"], "message": message})


class _Handler(BaseHTTPRequestHandler):
    state: State

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, method: str) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        parts = urlsplit(self.path)
        self.state.requests.append(f"{method} {parts.path}")
        status, body = self._decide(method, parts.path, parse_qs(parts.query), raw)
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _decide(self, method: str, path: str, query: dict[str, list[str]], raw: bytes) -> Answer:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in (EDITOR, VIEWER):
            return 401, {"message": "Invalid API key"}
        if method != "GET" and token == VIEWER:
            return 403, {
                "accessErrorId": "ACE1",
                "message": "You'll need additional permissions",
                "title": "Access denied",
            }
        body: Any = None
        if method != "GET":
            try:
                body = json.loads(raw)
            except ValueError:
                return self._violation("a body that is no JSON", 400, "bad request data")
        for verb, pattern, handle in ROUTES:
            match = re.fullmatch(pattern, path)
            if verb == method and match:
                return handle(self, body if body is not None else query, *match.groups())
        return self._violation(f"{method} {path}", 404, "Not found")

    def _violation(self, what: str, status: int, message: str) -> Answer:
        self.state.violations.append(what)
        return status, {"message": message}

    def _fields(self, body: Any, required: set[str], known: set[str]) -> str:
        if not isinstance(body, dict):
            return "no object"
        if missing := required - set(body):
            return f"missing {sorted(missing)}"
        if odd := set(body) - required - known:
            return f"undocumented {sorted(odd)}"
        return ""

    def folder(self, _: Any, uid: str) -> Answer:
        held = self.state.folders.get(uid)
        return (200, held) if held else (404, {"message": "folder not found", "status": "not-found"})

    def make_folder(self, body: Any) -> Answer:
        if odd := self._fields(body, {"title"}, {"uid", "parentUid"}):
            return self._violation(f"folder: {odd}", 400, odd)
        if not UID.fullmatch(body.get("uid", "x")) or not body["title"]:
            return self._violation("folder: uid or title", 400, "uid contains illegal characters")
        if body["uid"] in self.state.folders:
            return 409, {"message": "A folder with that name already exists"}
        made = {"id": len(self.state.folders) + 1, "uid": body["uid"], "title": body["title"], "version": 1}
        self.state.folders[body["uid"]] = made
        return 200, made

    def dashboard(self, _: Any, uid: str) -> Answer:
        held = self.state.dashboards.get(uid)
        if held is None:
            return 404, {"message": "Dashboard not found"}
        meta = {"folderUid": held["folderUid"], "provisioned": held.get("provisioned", False), "url": f"/d/{uid}/x"}
        return 200, {"dashboard": held["dashboard"], "meta": meta}

    def versions(self, _: Any, uid: str) -> Answer:
        held = self.state.dashboards.get(uid)
        if held is None:
            return 404, {"message": "Dashboard not found"}
        newest_first = [{"uid": uid, **version} for version in reversed(held["versions"])]
        return 200, {"continueToken": "", "versions": newest_first} if self.state.version >= 11 else newest_first

    def save(self, body: Any) -> Answer:
        self.state.before_save()
        known = {"folderUid", "folderId", "message", "overwrite"}
        if odd := self._fields(body, {"dashboard"}, known):
            return self._violation(f"save: {odd}", 400, odd)
        sent, folder = body["dashboard"], body.get("folderUid", "")
        uid, title = sent.get("uid"), sent.get("title")
        if not title or not UID.fullmatch(uid or "") or not isinstance(sent.get("schemaVersion"), int):
            return self._violation("save: title, uid or schemaVersion", 400, "Dashboard title cannot be empty")
        if folder and folder not in self.state.folders:
            return 400, {"message": "folder not found"}
        held = self.state.dashboards.get(uid)
        if held is None and any(
            other["folderUid"] == folder and other["dashboard"]["title"] == title
            for other in self.state.dashboards.values()
        ):
            return 412, {
                "message": "A dashboard with the same name in the folder already exists",
                "status": "name-exists",
            }
        if held is not None and held.get("provisioned"):
            return 400, {"message": "Cannot save provisioned dashboard"}
        version = held["dashboard"]["version"] if held else 0
        if held is not None and not body.get("overwrite") and sent.get("version") != version:
            return 412, {"message": "The dashboard has been changed by someone else", "status": "version-mismatch"}
        saved = {
            **sent,
            "id": 1,
            "version": version + 1,
        }  # Grafana's own id and version
        versions = [*(held["versions"] if held else []), {"version": version + 1, "message": body.get("message", "")}]
        self.state.dashboards[uid] = {"dashboard": saved, "folderUid": folder, "versions": versions}
        return 200, {
            "id": 1,
            "uid": uid,
            "url": f"/d/{uid}/x",
            "status": "success",
            "version": version + 1,
            "slug": "x",
        }

    def datasource(self, _: Any, uid: str) -> Answer:
        held = self.state.datasources.get(uid)
        return (200, held) if held else (404, {"message": "Data source not found"})

    def make_datasource(self, body: Any) -> Answer:
        known = {"uid", "url", "user", "database", "basicAuth", "isDefault", "jsonData", "secureJsonData"}
        if odd := self._fields(body, {"name", "type", "access"}, known):
            return self._violation(f"data source: {odd}", 400, odd)
        if any(held["name"] == body["name"] for held in self.state.datasources.values()):
            return 409, {"message": "data source with the same name already exists"}
        self.state.datasources[body["uid"]] = {key: value for key, value in body.items() if key != "secureJsonData"}
        return 200, {"id": 1, "message": "Datasource added", "name": body["name"], "datasource": body["uid"]}

    def find_annotations(self, query: Any) -> Answer:
        if odd := set(query) - {"from", "to", "limit", "tags", "dashboardUID", "panelId", "type"}:
            return self._violation(f"annotations: {odd}", 400, str(odd))
        begin, end = int(query["from"][0]), int(query["to"][0])
        found = [
            each
            for each in self.state.annotations
            if set(query.get("tags", ())) <= set(each["tags"]) and each["time"] <= end and each["timeEnd"] >= begin
        ]
        return 200, found[: int(query.get("limit", ["100"])[0])]

    def make_annotation(self, body: Any) -> Answer:
        if odd := self._fields(body, {"text"}, {"time", "timeEnd", "tags", "dashboardUID", "panelId"}):
            return self._violation(f"annotation: {odd}", 400, odd)
        number = len(self.state.annotations) + 1
        self.state.annotations.append({"id": number, "timeEnd": body["time"], **body})
        return 200, {"message": "Annotation added", "id": number}

    def change_annotation(self, body: Any, number: str) -> Answer:
        if odd := self._fields(body, set(), {"text", "tags", "time", "timeEnd"}):
            return self._violation(f"annotation: {odd}", 400, odd)
        self.state.annotations[int(number) - 1].update(body)
        return 200, {"message": "Annotation patched"}


ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", r"/api/folders/([^/]+)", _Handler.folder),
    ("POST", r"/api/folders", _Handler.make_folder),
    ("GET", r"/api/dashboards/uid/([^/]+)", _Handler.dashboard),
    ("GET", r"/api/dashboards/uid/([^/]+)/versions", _Handler.versions),
    ("POST", r"/api/dashboards/db", _Handler.save),
    ("GET", r"/api/datasources/uid/([^/]+)", _Handler.datasource),
    ("POST", r"/api/datasources", _Handler.make_datasource),
    ("GET", r"/api/annotations", _Handler.find_annotations),
    ("POST", r"/api/annotations", _Handler.make_annotation),
    ("PATCH", r"/api/annotations/(\d+)", _Handler.change_annotation),
]


@dataclass(frozen=True, slots=True)
class FakeGrafana:
    url: str
    state: State


@contextmanager
def fake_grafana() -> Iterator[FakeGrafana]:
    state = State()
    handler = type("Handler", (_Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield FakeGrafana(f"http://127.0.0.1:{server.server_address[1]}", state)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
