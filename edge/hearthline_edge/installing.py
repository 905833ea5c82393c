"""Make a Debian or Raspberry Pi OS machine a gateway, and undo it: files, user, rights, service.

Each file appears whole or not at all, and every step may be repeated: after a power cut at any point the same command
ends the work. Nothing is started before everything lies in its place.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hearthline.clock import Stamp
from hearthline.config import secret_files
from hearthline.errors import ConfigError, RefusedError
from hearthline.whole_file import PUBLIC, sync_folder, write_whole
from hearthline_edge.agent_folder import agent_folder
from hearthline_edge.config import EdgeConfig
from hearthline_edge.outbox_view import look_into
from hearthline_edge.service import (
    BROKER_FILE,
    BROKER_UNIT,
    GUARD_FILE,
    GUARD_UNIT,
    LOG_FILE,
    SERVICE_FILE,
    STATE_ROOT,
    UNIT,
    USER,
    USER_FILE,
    files,
)
from hearthline_edge.versions import service_python

Say = Callable[[str], None]
PLACES = (GUARD_FILE, SERVICE_FILE, BROKER_FILE, LOG_FILE, USER_FILE)


@dataclass(frozen=True, slots=True)
class Machine:
    """The system that is changed. `root`: where its files lie; anything but `/` is a disk on which nothing runs."""

    root: Path = Path("/")

    def path(self, place: PurePosixPath) -> Path:
        return self.root / place.relative_to("/")

    @property
    def runs(self) -> bool:
        return self.root == Path("/")

    def order(self, *command: str) -> None:
        """Raises ConfigError with what the program said."""
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise ConfigError(f"{command[0]}: no such program here; a gateway needs Debian's systemd") from None
        if done.returncode:
            raise ConfigError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip() or 'failed'}")


def install(config: EdgeConfig, config_file: Path, machine: Machine, say: Say, python: Path | None = None) -> None:
    """Write what has changed, make the user, give it what is its own, and start the service.

    Raises ConfigError and leaves what was running running.
    """
    _check_paths(config, config_file)
    wanted = files(config, config_file.absolute(), python or service_python())
    changed = [place for place, text in wanted.items() if _put(machine.path(place), text)]
    for place in wanted:
        say(f"{'written  ' if place in changed else 'as it was'} {place}")
    if not machine.runs:
        say("Nothing was started: this is the image of another machine.")
        return
    machine.order("systemd-sysusers", str(USER_FILE))
    give_to_service(config, config_file.absolute(), USER)
    machine.order("systemctl", "daemon-reload")
    if LOG_FILE in changed:
        machine.order("systemctl", "try-restart", "systemd-journald.service")
    if BROKER_FILE in wanted:
        machine.order("systemctl", "enable", BROKER_UNIT)
        machine.order("systemctl", "restart" if BROKER_FILE in changed else "start", BROKER_UNIT)
    machine.order("systemctl", "enable", UNIT, *([GUARD_UNIT] if GUARD_FILE in wanted else []))
    machine.order("systemctl", "restart", UNIT)
    say(f"{UNIT} runs. What it says: journalctl -u {UNIT}")


def give_to_service(config: EdgeConfig, config_file: Path, user: str) -> None:
    """The agent's data, its own folder of the configuration and the secrets are its own; the rest it may only read.

    What root gives away is named by the configuration, so no agent may write that. Links are given, never what they
    point to: the agent's folders may hold some to somebody else's files.
    """
    owner = pwd.getpwnam(user)
    own = agent_folder(config_file.parent)
    own.mkdir(mode=0o755, exist_ok=True)
    data = Path(config.data_dir)
    if PurePosixPath(data).parent != STATE_ROOT:  # there the service makes its folder when it starts; not elsewhere
        _make_folder(data)
    for tree in (data, own):
        if os.path.lexists(tree):
            _give_tree(tree, owner)
    for secret in (Path(path) for _, path in secret_files(config)):
        if secret.is_file():
            os.chown(secret, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    os.chown(config_file, 0, owner.pw_gid)
    config_file.chmod(0o640)
    folder = config_file.parent
    is_open = folder.stat().st_mode & stat.S_IXOTH
    if folder != Path("/etc"):
        os.chown(folder, 0, -1 if is_open else owner.pw_gid)
    if not is_open:
        folder.chmod(0o750)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: data_dir cannot be made: {error.strerror}") from None


def _give_tree(tree: Path, owner: pwd.struct_passwd) -> None:
    """By open folders: nobody can put a link in the place of one meanwhile."""
    for _, folders, names, handle in os.fwalk(tree, follow_symlinks=False):
        os.chown(handle, owner.pw_uid, owner.pw_gid)
        for name in (*folders, *names):
            os.chown(name, owner.pw_uid, owner.pw_gid, dir_fd=handle, follow_symlinks=False)


def remove(config: EdgeConfig | None, machine: Machine, now: Stamp, say: Say, *, with_data: bool, lose: bool) -> None:
    """Stop the service and take away what `install` wrote. `with_data`: the outbox too.

    Raises RefusedError while the outbox holds events that the center does not have, unless they may be lost (`lose`).
    """
    if with_data and config is not None and not lose:
        _refuse_loss(config, now)
    if machine.runs and machine.path(SERVICE_FILE).exists():
        has_guard = machine.path(GUARD_FILE).exists()  # before the agent, which it would start again
        machine.order("systemctl", "disable", "--now", *([GUARD_UNIT] if has_guard else []), UNIT)
        if with_data and config is not None and not lose:
            _refuse_loss(config, now)  # it may have taken a press until it was stopped
    for place in PLACES:
        path = machine.path(place)
        try:
            path.unlink()
            sync_folder(path.parent)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(f"{path}: cannot be removed: {error.strerror}; run the command as root") from None
        say(f"removed {place}")
    if machine.runs:
        machine.order("systemctl", "daemon-reload")
        machine.order("systemctl", "try-restart", BROKER_UNIT, "systemd-journald.service")
    if with_data and config is not None and Path(config.data_dir).exists():
        shutil.rmtree(config.data_dir)
        say(f"removed {config.data_dir}")
    say(f"The configuration stays; the user {USER} too, for files may be its own.")


def _check_paths(config: EdgeConfig, config_file: Path) -> None:
    """A service begins in no folder of anybody's, so every path must say where it is from the root."""
    named = [("data_dir", config.data_dir), *secret_files(config)]
    named += [(f"uplink.{key}", getattr(config.uplink, key)) for key in ("ca_file", "cert_file", "second_cert_file")]
    for key, path in named:
        if path is not None and not Path(path).is_absolute():
            raise ConfigError(f"{config_file}: {key} = {path!r}: a service needs the whole path, beginning with /")


def _refuse_loss(config: EdgeConfig, now: Stamp) -> None:
    if not (Path(config.data_dir) / "outbox.db").exists():
        return
    waiting = look_into(config, now).event.depth
    if waiting:
        raise RefusedError(
            f"{config.data_dir}: {waiting} events wait for the center; let the gateway connect until `hearthline edge"
            " outbox` shows none, or add --lose-events"
        )


def _put(path: Path, text: str) -> bool:
    """Whether it was another one before."""
    try:
        if path.read_text(encoding="utf-8") == text:
            return False
    except OSError:
        pass  # whatever is in the way shows when it is written
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode(), PUBLIC)
    except PermissionError:
        raise ConfigError(f"{path}: cannot be written; run the command as root") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
    return True
