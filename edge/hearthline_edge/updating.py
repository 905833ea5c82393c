"""Bring a new version onto the gateway, prove beforehand what can be proved, and hand over to the guard.

    release -> bytes, signature, machine, room -> folder of its own -> the new version looks at configuration and
    outbox -> the old one proves that the center is there -> guard

Until the guard starts nothing that runs has changed, and the command may be repeated after whatever stopped it.
"""

from __future__ import annotations

import ensurepip
import fcntl
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from msgspec import structs

from hearthline.errors import ConfigError, HearthlineError, RefusedError
from hearthline_edge.config import EdgeConfig
from hearthline_edge.installing import Machine
from hearthline_edge.outbox_rows import Fate
from hearthline_edge.release import REQUIREMENTS, Release, check_fits, check_signature, copy_release, read_release
from hearthline_edge.service import GUARD_FILE, GUARD_UNIT, USER
from hearthline_edge.update_record import GUARDED, Phase, Update, read_told, read_update, write_update
from hearthline_edge.update_telling import BEGINS
from hearthline_edge.updating_texts import say
from hearthline_edge.versions import CURRENT, GUARD, INCOMING, KEYS, Versions

ASK_S: Final = 45.0
_MB: Final = 1024 * 1024
_UNPACKED: Final = 4  # times the wheels' bytes, with what Python compiles
_SPARE: Final = 64 * _MB  # pip itself, and what the outbox may need meanwhile
_PREFLIGHT_S: Final = 120
_LAY_S: Final = 1800
_RUN_PIP: Final = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('pip', run_name='__main__')"
_PERIOD_S: Final = 0.5

Say = Callable[[str], None]


def take(place: Path, versions: Versions, *, unsigned: bool, tell: Say) -> Release:
    """Read a release and lay its version down, whole. Raises ConfigError or RefusedError, and has changed nothing."""
    release = read_release(place)
    if versions.pointed(GUARD) is not None:
        raise RefusedError(say("under-way"))
    check_fits(release.manifest)
    if not unsigned:
        check_signature(release, versions.root / KEYS)
    if release.name == versions.pointed(CURRENT):
        raise RefusedError(say("same", new=release.name))
    _check_room(release, versions.root)
    incoming = versions.root / INCOMING
    try:
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(mode=0o700)
        copy_release(release, incoming)
        tell(say("checked-unsigned" if unsigned else "checked", name=release.name))
        if not versions.is_whole(release.name):
            _lay(release.name, versions, incoming)
    except PermissionError:
        raise ConfigError(say("not-root")) from None
    except OSError as error:
        raise ConfigError(say("root-files", path=versions.root, error=error.strerror or error)) from None
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    return release


def _check_room(release: Release, root: Path) -> None:
    space = os.statvfs(root)
    free, need = space.f_bavail * space.f_frsize, release.bytes * _UNPACKED + _SPARE
    if free < need:
        raise ConfigError(say("no-room", root=root, need=need // _MB, free=free // _MB))


def _lay(name: str, versions: Versions, incoming: Path) -> None:
    """An environment in its last place, of the release's wheels alone, without any network."""
    folder = versions.folder(name)
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(versions.python(name)), "-I", "-c", _RUN_PIP, _wheel_of_pip(), "install", "--quiet", "--isolated"]
    pip += ["--disable-pip-version-check", "--no-cache-dir", "--no-index", "--find-links", str(incoming)]
    pip += ["--only-binary", ":all:", "--require-hashes", "--requirement", str(incoming / REQUIREMENTS)]
    for command in ([sys.executable, "-I", "-m", "venv", "--without-pip", str(folder)], pip):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LAY_S)
        if done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            raise ConfigError(say("not-laid", name=name, why=_last_line(done.stderr or done.stdout)))
    versions.note_whole(name)


def _wheel_of_pip() -> str:
    """The one that Python brings for new environments: an installed pip would take 15 MB and a minute of each of them.

    Raises ConfigError.
    """
    places = (sysconfig.get_config_var("WHEEL_PKG_DIR"), Path(ensurepip.__file__).parent / "_bundled")
    wheels = sorted(str(wheel) for place in places if place for wheel in Path(place).glob("pip-*.whl"))
    if not wheels:
        raise ConfigError(say("no-pip"))
    return wheels[-1]


def preflight(name: str, versions: Versions, config_file: Path) -> None:
    """The new version itself says, as the service's user, whether it can work here. Raises ConfigError."""
    command = [str(versions.python(name)), "-m", "hearthline_edge", "--check", "--config", str(config_file.absolute())]
    owner = pwd.getpwnam(USER)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PREFLIGHT_S,
            cwd="/",
            user=owner.pw_uid,
            group=owner.pw_gid,
            extra_groups=os.getgrouplist(USER, owner.pw_gid),
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(say("not-fit", name=name, why=f"{_PREFLIGHT_S} s")) from None
    if done.returncode:
        raise ConfigError(say("not-fit", name=name, why=_last_line(done.stderr or done.stdout)))


def ask_center(update: Update, versions: Versions) -> None:
    """The running agent has a note of its own received. Raises RefusedError when it has not, in time."""
    write_update(versions.root, update)
    until = time.monotonic() + ASK_S
    while time.monotonic() < until:
        told = read_told(Path(update.data_dir))
        if told is not None and (told.id, told.kind, told.fate) == (update.id, BEGINS, Fate.RECEIVED):
            return
        time.sleep(_PERIOD_S)
    raise RefusedError(say("no-center", seconds=round(ASK_S)))


def update(
    place: Path,
    config: EdgeConfig,
    config_file: Path,
    versions: Versions,
    machine: Machine,
    tell: Say,
    *,
    wait_s: float,
    offline: bool,
    unsigned: bool,
) -> Update:
    """Begin an update; the guard goes on with it. Raises HearthlineError while nothing has been switched."""
    if not machine.path(GUARD_FILE).exists():
        raise ConfigError(say("no-guard"))
    with _alone(versions):
        release = take(place, versions, unsigned=unsigned, tell=tell)
        began = Update(
            id=secrets.token_hex(8),
            old=versions.pointed(CURRENT) or versions.own,
            new=release.name,
            phase=Phase.ASKING,
            data_dir=config.data_dir,
            wait_s=wait_s,
            offline=offline,
        )
        try:
            preflight(release.name, versions, config_file)
            tell(say("laid", name=release.name))
            if not offline:
                ask_center(began, versions)
                tell(say("center-there"))
            switching = _hand_over(began, versions)
        except (HearthlineError, OSError) as error:
            _call_off(began, versions, str(error))
            if isinstance(error, OSError):
                raise ConfigError(say("root-files", path=versions.root, error=error.strerror or error)) from None
            raise
        _start_guard(machine)
    tell(say("switching", minutes=wait_s / 60, old=began.old))
    return switching


@contextmanager
def _alone(versions: Versions) -> Iterator[None]:
    """Raises RefusedError while another command updates."""
    handle = os.open(versions.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise RefusedError(say("under-way")) from None
    finally:
        os.close(handle)


def _hand_over(began: Update, versions: Versions) -> Update:
    """From now on it is the guard's alone. Its link first: a record of a switch that nobody follows says nothing."""
    switching = structs.replace(began, phase=Phase.SWITCHING)
    versions.point(GUARD, began.old)
    write_update(versions.root, switching)
    return switching


def _start_guard(machine: Machine) -> None:
    """If that fails nobody knows whether it runs: it is left to it, at the next start of the machine at the latest."""
    try:
        machine.order("systemctl", "restart", "--no-block", GUARD_UNIT)
    except ConfigError as error:
        raise ConfigError(say("guard-not-started", why=error, unit=GUARD_UNIT)) from None


def _call_off(began: Update, versions: Versions, reason: str) -> None:
    with suppress(OSError):  # what could not be removed is no update under way
        versions.drop(GUARD)
        write_update(versions.root, structs.replace(began, phase=Phase.CALLED_OFF, reason=reason))
        versions.forget_others()


def follow(began: Update, versions: Versions) -> Update:
    """The record once the update has ended and the guard has cleared up, or as it is when nobody can wait any more.

    Until the guard's link is gone another update would be refused.
    """
    found, until = began, time.monotonic() + began.wait_s + 180
    while (found.phase in GUARDED or versions.pointed(GUARD) is not None) and time.monotonic() < until:
        time.sleep(_PERIOD_S)
        found = read_update(versions.root) or found
    return found


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.strip().splitlines()) if line.strip()), "-")
