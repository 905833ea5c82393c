"""The files that Grafana reads: each dashboard as JSON, one folder a language. The same input gives the same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hearthline.errors import ConfigError
from hearthline_dashboards.board import Board
from hearthline_dashboards.kinds import JSONEncoder

_ZONE = re.compile(r"[A-Za-z0-9_+\-/]+")


def check_zone(zone: str) -> str:
    """It goes into queries as it is. Raises ConfigError for what is no zone of the tz database."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"--zone {zone}: there is no such time zone; write one like Asia/Shanghai") from None
    if not _ZONE.fullmatch(zone):
        raise ConfigError(f"--zone {zone}: there is no such time zone; write one like Asia/Shanghai")
    return zone


def check_console(url: str) -> str:
    """Raises ConfigError for what no link can begin with."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or set(url) & set(' "<>$\\'):
        raise ConfigError(f"--console {url}: write https://HOST or https://HOST/PATH")
    return url.rstrip("/")


def as_tree(board: Board) -> dict[str, Any]:
    """The dashboard as plain JSON, as the SDK's encoder writes it."""
    tree: dict[str, Any] = json.loads(json.dumps(board.build(), cls=JSONEncoder))
    return tree


def files(boards: Iterable[Board]) -> dict[Path, str]:
    """Path below the folder -> text."""
    made = {}
    for board in boards:
        path = Path("dashboards", board.setting.language, f"{board.setting.uid(board.name)}.json")
        made[path] = json.dumps(as_tree(board), ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    return made


def write(made: dict[Path, str], folder: Path) -> list[tuple[Path, str]]:
    """Write what is not so already, and say what was new or changed. Other files are left alone. Raises ConfigError."""
    done = []
    for path, text in sorted(made.items()):
        target = folder / path
        try:
            before = target.read_text(encoding="utf-8") if target.exists() else None
            if before == text:
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--to {folder}: {path} cannot be written: {error.strerror}") from None
        done.append((path, "new" if before is None else "changed"))
    return done
