"""Enrols in a child for each step that changes a file, and dies at it, or finds the disk full; then repeats whole.

Steps are what Python's audit hooks see before it is done: opening for writing, renaming, making, removing. Run as a
process of its own: a hook cannot be taken off again. Prints one JSON object a trial.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from edge.enrolment_kits import NOW, Center
from hearthline_edge.enrolling import Bundle, Network, enrol
from hearthline_edge.enrolling_config import Machine
from hearthline_edge.enrolling_texts import EnrolError

_UNTOUCHED, _TOLD, _PASSED_OVER = 0, 3, 5  # passed over: e.g. making a folder that is there
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_STEPS = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.chown", "ctypes.dlsym")


class Fate:
    """What happens at which step; 0: never."""

    def __init__(self) -> None:
        self.seen, self.dies_at, self.full_at = 0, 0, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _STEPS and not (event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES):
            return
        self.seen += 1
        if self.seen == self.dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.seen == self.full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def look(folder: Path) -> dict[str, Any]:
    """The configuration as it can be found: whose it is, and whether its key and certificate are of one making."""
    if not folder.exists():
        return {"gateway": None}
    text = (folder / "edge.toml").read_text(encoding="utf-8")
    paths = {str(each.relative_to(folder)): each for each in folder.rglob("*") if each.is_file()}
    modes = {name: each.stat().st_mode & 0o777 for name, each in paths.items()}
    files = sorted(paths)
    return {"gateway": text.split('gateway = "')[1].split('"')[0], "files": files, "modes": modes}


def main(folder: Path, way: str, had: str, fault: str, stride: int) -> None:
    fate = Fate()
    sys.addaudithook(fate)
    step, said = 1, -1
    while said != _UNTOUCHED:
        home = folder / f"{step}"
        place = home / "etc" / "hearthline"
        place.parent.mkdir(parents=True)
        if had:
            place.mkdir()
            (place / "edge.toml").write_text(f'gateway = "{had}"\ndata_dir = "{home}/data"\n[uplink]\nhost = "old"\n')
            (place / "profiles").mkdir()
            (place / "profiles" / "own.toml").write_text("own")
        center = Center()
        stick = center.bundle(home / "stick")
        source = Network(center.keys, center.ask) if way == "network" else Bundle(center.keys, stick, NOW)
        run = partial(enrol, center.keys.offer, source, place, f"{home}/data", Machine(True), NOW)
        said = in_a_child(fate, fault, step, run)
        found = look(place)
        stage = place.parent / ".hearthline.enrolling" / "uplink.key"
        asked = stage.read_text() if stage.exists() else ""
        run()
        kept = [each.name for each in sorted(place.parent.iterdir()) if each != place]
        kept_key = asked in ("", (place / "uplink.key").read_text())
        told = {"step": step, "said": said, "found": found, "after": look(place), "beside": kept, "kept_key": kept_key}
        print(json.dumps(told), flush=True)  # noqa: T201
        shutil.rmtree(home)
        step += stride


def in_a_child(fate: Fate, fault: str, step: int, run: Callable[[], object]) -> int:
    """How it ended: -9, one of those below, or 1 for a bug."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    fate.seen = 0
    if fault == "torn":  # a file is cut off where it reaches this size
        resource.setrlimit(resource.RLIMIT_FSIZE, (step * 40, step * 40))
    else:
        setattr(fate, {"kill": "dies_at", "full": "full_at"}[fault], step)
    code = 1
    try:
        run()
        code = _UNTOUCHED if fault == "torn" or fate.seen < step else _PASSED_OVER
    except EnrolError as error:
        code = _TOLD if error.key == "full" else 1
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
