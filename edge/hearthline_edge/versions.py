"""Where the versions of the agent lie on a gateway: a virtual environment each, and links that say which one counts.

    /opt/hearthline/0.2.0-1f2e3d4c/   a whole version; `.whole` in it was laid down last
    /opt/hearthline/current           what the service runs
    /opt/hearthline/previous          the one before it, kept to go back to by hand
    /opt/hearthline/guard             the old one, while an update is on trial: what the guard runs
    /opt/hearthline/release-keys      whose releases are taken: a public Ed25519 key a line, in hexadecimal digits
    /opt/hearthline/update.json       the record of the last update (`update_record.py`)

All of it is root's, so that an agent that was taken over changes none of it. A link changes in one step, and is on the
disk when `point` has returned.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hearthline import __version__
from hearthline.whole_file import sync_folder

CURRENT, PREVIOUS, GUARD = "current", "previous", "guard"
KEYS = "release-keys"
COMMAND = Path("/usr/local/bin/hearthline")
_RECORD = "update.json"
INCOMING = ".incoming"  # a release's files, while its version is laid down
_WHOLE = ".whole"
_OURS = re.compile(r"[0-9][0-9A-Za-z.+]*-[0-9a-f]{8}\Z|\.incoming\Z")


@dataclass(frozen=True, slots=True)
class Versions:
    """`own`: the name of the version that asks, taken at its start: links may change while it runs."""

    root: Path
    own: str

    def folder(self, name: str) -> Path:
        return self.root / name

    def python(self, name: str) -> Path:
        """Also through a link."""
        return self.root / name / "bin" / "python"

    def pointed(self, link: str) -> str | None:
        """The version that a link names."""
        try:
            return os.readlink(self.root / link)
        except OSError:
            return None

    def point(self, link: str, name: str) -> None:
        """Raises OSError."""
        beside = self.root / f".{link}.new"
        beside.unlink(missing_ok=True)
        beside.symlink_to(name)
        beside.replace(self.root / link)
        sync_folder(self.root)

    def drop(self, link: str) -> None:
        (self.root / link).unlink(missing_ok=True)
        sync_folder(self.root)

    def is_whole(self, name: str) -> bool:
        return (self.folder(name) / _WHOLE).exists()

    def note_whole(self, name: str) -> None:
        """Everything in it is on the disk before the note is."""
        # This file system alone: a flush of every other one would hold up whoever commits an alarm there.
        subprocess.run(["sync", "--file-system", str(self.root)], check=True)
        (self.folder(name) / _WHOLE).touch()
        sync_folder(self.folder(name))

    def forget_others(self) -> None:
        """Remove every version that no link names, and what is left of an update that was cut off; nothing else."""
        kept = {self.pointed(link) for link in (CURRENT, PREVIOUS, GUARD)}
        for path in self.root.iterdir():
            if _OURS.match(path.name) and path.is_dir() and not path.is_symlink() and path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)

    def remove_all(self) -> None:
        """Every version, link, key and record, and the command; nothing of anybody else. Raises OSError."""
        for path in self.root.iterdir():
            if (path.is_symlink() and path.name in (CURRENT, PREVIOUS, GUARD)) or path.name in (KEYS, _RECORD):
                path.unlink()
            elif _OURS.match(path.name):
                shutil.rmtree(path)
        if COMMAND.is_symlink() and Path(os.readlink(COMMAND)).is_relative_to(self.root):
            COMMAND.unlink()
        if not any(self.root.iterdir()):
            self.root.rmdir()


def own_versions() -> Versions | None:
    """None where this interpreter was not laid down by a release: a checkout, or an environment made by hand."""
    prefix = Path(sys.prefix)
    root = prefix.parent
    if not (root / CURRENT).is_symlink():
        return None
    return Versions(root, prefix.resolve().name)


def service_python() -> Path:
    """What a service starts: through the link, so that an update needs no other unit."""
    versions = own_versions()
    return versions.python(CURRENT) if versions is not None else Path(sys.executable)


def own_version() -> str:
    """The name of the running version, e.g. `0.2.0-1f2e3d4c`; without a release what the package says."""
    versions = own_versions()
    return versions.own if versions is not None else __version__
