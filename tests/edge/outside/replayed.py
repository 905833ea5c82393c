"""Recordings kept outside the repository, replayed as `hearthline edge decode` does: by their own times, grouped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from hearthline.clock import NS, Stamp
from hearthline_edge.devices import find_drivers
from hearthline_edge.recording import read_recording
from hearthline_edge.replay import Found, replay

START = Stamp(1_790_000_000 * NS, 100 * NS, "boot", True)


def recordings(folder: Path, count: int) -> Iterator[tuple[str, Path, Any]]:
    """(name, recording, what it is expected to hold); `count` guards against an empty folder."""
    paths = sorted(folder.glob("*.expected.json"))
    assert len(paths) == count, f"{folder}: {len(paths)} recordings, {count} were known"
    for path in paths:
        name = path.name.removesuffix(".expected.json")
        yield name, path.with_name(name), msgspec.json.decode(path.read_bytes())["expected"]


def found(driver: str, recording: Path) -> list[Found]:
    """What a recording decodes to; lines that bring no time come 0.15 s apart."""
    with recording.open("rb") as file:
        return list(replay(find_drivers()[driver], {}, read_recording(file, 0.15, 1000.0), START))
