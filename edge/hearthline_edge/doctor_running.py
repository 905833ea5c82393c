"""What the running agent itself says is wrong, and which version it is, each in one sentence with what to do."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from hearthline.errors import LinkError, RefusedError, StorageError
from hearthline_edge.config import EdgeConfig
from hearthline_edge.control import SOCKET
from hearthline_edge.control_client import ControlClient
from hearthline_edge.doctor import Check
from hearthline_edge.doctor_texts import say
from hearthline_edge.fault_advice import what_to_do
from hearthline_edge.service import GUARD_UNIT, SERVICE_FILE
from hearthline_edge.update_record import Phase, Update, read_update
from hearthline_edge.versions import CURRENT, GUARD, KEYS, PREVIOUS, Versions, own_versions


def examine_running(config: EdgeConfig) -> list[Check]:
    """The agent, if this machine runs one, and the versions, if a release laid them down."""
    return [*_agent(config, Path(SERVICE_FILE).exists()), *_versions(own_versions())]


def _agent(config: EdgeConfig, is_service: bool) -> Iterator[Check]:
    """One that is not running is a fault only where it is a service."""
    try:
        state = ControlClient(Path(config.data_dir) / SOCKET).ask({"do": "state"})
    except (LinkError, RefusedError) as error:
        if is_service:
            yield Check("agent", False, f"{error}.")
        return
    # What the configuration itself has wrong stands among the other checks already.
    faults = [str(fault) for fault in state.get("faults", ()) if fault not in config.faults]
    for fault in faults:
        yield Check("agent", False, f"{fault}: {what_to_do(fault)}.")
    if not faults:
        yield Check("agent", True, say("agent", version=state.get("version")))


def _versions(versions: Versions | None) -> Iterator[Check]:
    if versions is None:
        return
    try:
        update = read_update(versions.root)
    except StorageError as error:
        yield Check("version", False, say("no-record", error=error))
        update = None
    yield version_check(versions, update, _guard_runs)
    if not (versions.root / KEYS).exists():
        yield Check("release keys", False, say("no-keys", keys=versions.root / KEYS))


def version_check(versions: Versions, update: Update | None, guard_runs: Callable[[], bool]) -> Check:
    """`guard_runs`: asked only while an update is on trial."""
    name, current, before = "version", versions.pointed(CURRENT), versions.pointed(PREVIOUS)
    if versions.pointed(GUARD) is not None and update is not None:
        is_watched = guard_runs()
        facts = {"new": update.new, "phase": update.phase, "old": update.old, "unit": GUARD_UNIT}
        return Check(name, is_watched, say("trial" if is_watched else "trial-unwatched", **facts))
    kept = say("kept", before=before) if before is not None else ""
    if update is not None and update.phase is Phase.UNDONE and update.old == current:
        facts = {"current": current, "before": kept, "new": update.new, "reason": update.reason}
        return Check(name, False, say("undone", **facts))
    return Check(name, True, say("good", current=current, before=kept))


def _guard_runs() -> bool:
    try:
        return not subprocess.run(["systemctl", "is-active", "--quiet", GUARD_UNIT], check=False).returncode
    except FileNotFoundError:
        return False
