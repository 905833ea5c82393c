"""Grafana's API through grafana-client, with errors that say what to do.

Every call may raise LinkError: Grafana is away, refuses the token, or answers what it should not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from grafana_client import GrafanaApi
from grafana_client.client import GrafanaClientError, GrafanaException

from hearthline.errors import ConfigError, LinkError

_TIMEOUT_S = 15.0
_SAID_CHARS = 300


class ChangedMeanwhileError(LinkError):
    """Somebody saved the dashboard between our reading and our writing."""


class Grafana:
    """One Grafana, with the rights of a service account."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ConfigError(f"--url {url}: write https://HOST or https://HOST/PATH, without a name and password")
        self.url = url.rstrip("/")
        prefix = f"{parts.path.strip('/')}/" if parts.path.strip("/") else ""
        self._api = GrafanaApi(
            auth=token,
            protocol=parts.scheme,
            host=parts.hostname,
            port=parts.port,
            url_path_prefix=prefix,
            timeout=_TIMEOUT_S,
        )

    def folder(self, uid: str) -> dict[str, Any] | None:
        return self._find("reading a folder", lambda: self._api.folder.get_folder(uid))

    def make_folder(self, uid: str, title: str) -> None:
        with self._errors("making a folder", "its service account needs folders:create"):
            self._api.folder.create_folder(title, uid)

    def dashboard(self, uid: str) -> dict[str, Any] | None:
        """`dashboard` and `meta`, as saved."""
        return self._find("reading a dashboard", lambda: self._api.dashboard.get_dashboard(uid))

    def last_message(self, uid: str) -> str:
        """What whoever saved the last version wrote about it."""
        with self._errors("reading a dashboard's versions", "its service account needs dashboards:read"):
            answer = self._api.dashboard_versions.get_dashboard_versions_by_uid(uid, limit=1)
        versions = answer.get("versions", []) if isinstance(answer, dict) else answer  # since Grafana 11 with a cursor
        newest = sorted(versions, key=lambda version: int(version["version"]))[-1:]
        return str(newest[0].get("message") or "") if newest else ""

    def save(self, tree: dict[str, Any], folder: str, version: int | None, message: str) -> int:
        """The new version. `version`: the one that this replaces, None for a new one. Raises ChangedMeanwhileError."""
        replaced = {} if version is None else {"version": version}
        saved = {**tree, "id": None, **replaced}
        body = {"dashboard": saved, "folderUid": folder, "message": message, "overwrite": False}
        try:
            with self._errors("saving a dashboard", "its service account needs dashboards:create and dashboards:write"):
                return int(self._api.dashboard.update_dashboard(body)["version"])
        except LinkError as error:
            cause = error.__cause__
            if isinstance(cause, GrafanaClientError) and cause.status_code == 412:
                raise ChangedMeanwhileError(f"{self.url}: {tree['uid']}: {_said(cause)}; run this again") from None
            raise

    def datasource(self, uid: str) -> dict[str, Any] | None:
        return self._find("reading a data source", lambda: self._api.datasource.get_datasource_by_uid(uid))

    def make_datasource(self, body: dict[str, Any]) -> None:
        with self._errors("making a data source", "its service account needs datasources:create"):
            self._api.datasource.create_datasource(body)

    def annotations(self, tags: list[str], from_ms: int, to_ms: int, limit: int) -> list[dict[str, Any]]:
        with self._errors("reading annotations", "its service account needs annotations:read"):
            words = [quote(tag, safe="") for tag in tags]  # the client puts them into the address as they are
            found = self._api.annotations.get_annotation(time_from=from_ms, time_to=to_ms, tags=words, limit=limit)
        return list(found)

    def make_annotation(self, body: dict[str, Any]) -> None:
        with self._errors("making an annotation", "its service account needs annotations:create"):
            self._api.client.POST("/annotations", json=body)

    def change_annotation(self, number: int, body: dict[str, Any]) -> None:
        with self._errors("changing an annotation", "its service account needs annotations:write"):
            self._api.client.PATCH(f"/annotations/{number}", json=body)

    def _find(self, doing: str, ask: Any) -> dict[str, Any] | None:
        try:
            with self._errors(doing, "its service account may not read it"):
                found: dict[str, Any] = ask()
                return found
        except LinkError as error:
            if isinstance(error.__cause__, GrafanaClientError) and error.__cause__.status_code == 404:
                return None
            raise

    @contextmanager
    def _errors(self, doing: str, rights: str) -> Iterator[None]:
        """Grafana's refusals as LinkError, whose cause is what grafana-client raised."""
        try:
            yield
        except GrafanaException as error:
            advice = {401: "the token is not known there; make a new one", 403: rights}.get(error.status_code, "")
            told = f"{self.url}: {doing}: HTTP {error.status_code}: {_said(error)}"
            raise LinkError(f"{told}; {advice}" if advice else told) from error
        except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError) as error:
            raise LinkError(f"{self.url}: {doing}: no Grafana answers there: {error!r:.{_SAID_CHARS}}") from error


def _said(error: GrafanaException) -> str:
    answer = error.response
    message = answer.get("message", answer) if isinstance(answer, dict) else answer
    return str(message)[:_SAID_CHARS]
