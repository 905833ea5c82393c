"""The configuration's folder appears whole, by one rename, or stays as it was.

    /etc/.hearthline.enrolling/      offer        whose code
                                     uplink.key   the key that asks: the same one after a power cut
                                     making/      becomes ready/ when everything in it is on the disk
                                     ready/       changes places with /etc/hearthline
    /etc/hearthline/enrolled         by which offer: whoever repeats the command is told so
    /etc/hearthline.before-<offer>   what was there before

Killed at any point, the same command ends the work; another code begins anew. What enrolment does not write itself is
carried over from the folder of before.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hearthline.whole_file import PRIVATE, PUBLIC, sync_folder, write_whole
from hearthline_edge.enrolling_texts import EnrolError

OFFER, KEY, ENROLLED = "offer", "uplink.key", "enrolled"
_MAKING, _READY = "making", "ready"
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100  # of linux/fs.h and fcntl.h
_CANNOT_EXCHANGE = (errno.EINVAL, errno.ENOSYS)


@dataclass(frozen=True, slots=True)
class File:
    """`is_public`: a certificate; everything else is for the owner alone."""

    content: bytes
    is_public: bool = False


class Stage:
    """The work on one folder for one offer. Raises OSError; `told` makes it words."""

    def __init__(self, folder: Path, offer: str) -> None:
        self.folder = folder
        self.offer = offer
        self.place = folder.with_name(f".{folder.name}.enrolling")
        self.aside = folder.with_name(f"{folder.name}.before-{offer}")

    @contextmanager
    def begun(self) -> Iterator[None]:
        """One at a time; what was begun for another offer is thrown away."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.place.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _read(self.place / OFFER) != self.offer:
                self._settle()
                for each in list(self.place.iterdir()):
                    _remove(each)
                write_whole(self.place / OFFER, self.offer.encode())
            yield
        except BlockingIOError:
            raise EnrolError("other_run") from None
        finally:
            os.close(handle)

    @property
    def key(self) -> Path:
        return self.place / KEY

    @property
    def is_done(self) -> bool:
        """Whether the folder is this offer's already."""
        return _read(self.folder / ENROLLED) == self.offer

    @property
    def is_ready(self) -> bool:
        return (self.place / _READY / ENROLLED).exists()

    def making(self, files: Mapping[str, File], left_out: frozenset[str]) -> Path:
        """A folder with these files, and of the present one's whatever is not among them nor `left_out`."""
        place = self.place / _MAKING
        _remove(place)
        place.mkdir(mode=0o700)
        if self.folder.is_dir():
            for each in sorted(self.folder.iterdir()):
                if each.name not in files and each.name not in left_out and each.name != ENROLLED:
                    _copy(each, place / each.name)
        for name, file in files.items():
            write_whole(place / name, file.content, PUBLIC if file.is_public else PRIVATE)
            if self.folder.is_dir():
                before = self.folder / name
                give_as(before if before.exists() else self.folder, place / name)
        return place

    def made(self) -> None:
        """What is in the making is right: from now on it only has to be put in its place."""
        place = self.place / _MAKING
        write_whole(place / ENROLLED, self.offer.encode())
        if self.folder.is_dir():
            give_as(self.folder, place)
            place.chmod(stat.S_IMODE(self.folder.stat().st_mode))
        _sync_all(place)
        place.rename(self.place / _READY)
        sync_folder(self.place)

    def put(self) -> None:
        """Put what is ready in its place; what was there is kept aside."""
        ready = self.place / _READY
        if not os.path.lexists(self.folder):
            ready.rename(self.folder)
        elif not _exchange(ready, self.folder):
            self.folder.rename(_free(self.aside))
            ready.rename(self.folder)
        sync_folder(self.folder.parent)

    def clear(self) -> Path | None:
        """Take the stage away; where the folder of before is kept, if there was one with anything in it."""
        self._settle()
        _remove(self.place)
        sync_folder(self.folder.parent)
        kept = sorted(self.folder.parent.glob(f"{self.aside.name}*"), key=lambda each: len(each.name))
        return kept[-1] if kept else None

    def _settle(self) -> None:
        """After an exchange what lies ready is the folder of before."""
        ready = self.place / _READY
        is_put = _read(self.folder / ENROLLED) == _read(self.place / OFFER) != _read(ready / ENROLLED)
        if is_put and ready.exists() and any(ready.iterdir()):
            ready.rename(_free(self.aside))
            sync_folder(self.folder.parent)


def told(error: OSError, path: Path) -> EnrolError:
    """What to tell an installer of it."""
    where = error.filename or path
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return EnrolError("full", path=where)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return EnrolError("denied", path=where)
    return EnrolError("not_written", path=where, why=error.strerror or error)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _free(wanted: Path) -> Path:
    """This name, or one with a number behind it that nobody has."""
    found, number = wanted, 1
    while os.path.lexists(found):
        number += 1
        found = wanted.with_name(f"{wanted.name}-{number}")
    return found


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """With owner, mode and times; a link stays a link."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(mode=0o700)
        for each in source.iterdir():
            _copy(each, target / each.name)
        shutil.copystat(source, target)
    elif source.is_symlink() or source.is_file():
        shutil.copy2(source, target, follow_symlinks=False)
    else:
        return  # a socket or a pipe is nobody's configuration
    give_as(source, target)


def give_as(source: Path, target: Path) -> None:
    """The owner of what it takes the place of; only root can, and only root needs to."""
    if os.geteuid() == 0:
        about = source.lstat()
        os.chown(target, about.st_uid, about.st_gid, follow_symlinks=False)


def _sync_all(folder: Path) -> None:
    for each in folder.rglob("*"):
        if each.is_file() and not each.is_symlink():
            handle = os.open(each, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        elif each.is_dir() and not each.is_symlink():
            sync_folder(each)
    sync_folder(folder)


def _exchange(one: Path, other: Path) -> bool:
    """Let them change places at once (renameat2(2)); False where this file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    if libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))
