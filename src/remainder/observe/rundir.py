"""The folder in /run, entered by its descriptor: root follows no name that somebody else may set.

Whoever owns a folder in which root writes can put a symlink, a FIFO or a hard link
there, and root would truncate any file of the machine.  So the folder must belong to
root or to this process's own user and be writable by its owner alone, everything in
it is opened by its descriptor, and a last component that is a symlink is refused.
Rule: every refusal is an OSError with a whole sentence's end as its ``strerror``.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

MODE_OF_FOLDER: Final = 0o755
"""Everybody may see which nodes run here."""

MODE_OF_NOTES: Final = 0o640
MODE_OF_LOCK: Final = 0o600

_OTHERS_WRITE: Final = 0o022
_SAFELY: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UnsafeError(PermissionError):
    """Somebody else could have put there what we would read or overwrite."""


@contextmanager
def entered(folder: Path, *, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder.  Raises OSError: none is there, or UnsafeError."""
    if make:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            folder.mkdir(mode=MODE_OF_FOLDER)
    try:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | _SAFELY)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR) and (folder.is_symlink() or folder.exists()):
            what = "a symlink" if folder.is_symlink() else "not a directory"
            raise _unsafe(f"it is {what}; expected a directory; remove it", folder) from None
        raise
    try:
        _check_folder(os.fstat(at), folder)
        yield at
    finally:
        os.close(at)


def trusted() -> frozenset[int]:
    """Users whose files we believe: root, and the one that this process runs as."""
    return frozenset({0, os.geteuid()})


def _check_folder(found: os.stat_result, folder: Path) -> None:
    if found.st_uid not in trusted():
        raise _unsafe(
            f"it belongs to user {found.st_uid}, who could plant files there; "
            f"expected root's; remove it, `run` makes it anew",
            folder,
        )
    if found.st_mode & _OTHERS_WRITE:
        raise _unsafe(
            f"its mode is {stat.S_IMODE(found.st_mode):04o}, so others could plant files there; "
            f"expected {MODE_OF_FOLDER:04o}; remove it, `run` makes it anew",
            folder,
        )


def _check_file(found: os.stat_result, name: str) -> None:
    """Also a hard link could be to a file that is not ours to change."""
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        raise _unsafe("it is not a regular file with one name; remove it", name)
    if found.st_uid not in trusted() or found.st_mode & _OTHERS_WRITE:
        raise _unsafe(
            f"user {found.st_uid} may write it (mode {stat.S_IMODE(found.st_mode):04o}); remove it",
            name,
        )


def _unsafe(sentence: str, path: Path | str) -> UnsafeError:
    return UnsafeError(errno.EPERM, sentence, str(path))


def open_file(at: int, name: str, flags: int, *, mode: int = MODE_OF_LOCK) -> int:
    """A descriptor of a regular file of the folder.  Raises OSError."""
    try:
        descriptor = os.open(name, flags | _SAFELY, mode, dir_fd=at)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _unsafe("it is a symlink; remove it", name) from None
        raise
    try:
        _check_file(os.fstat(descriptor), name)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def read(at: int, name: str) -> bytes:
    """The content of a file.  Raises OSError."""
    with os.fdopen(open_file(at, name, os.O_RDONLY), "rb") as file:
        return file.read()


def replace(at: int, name: str, content: bytes) -> None:
    """Write a file in one step: a reader sees the old content or the new.  Raises OSError."""
    temporary = f"{name}.new"
    remove(at, temporary)  # of a process that was killed; only we can have put it there
    descriptor = open_file(at, temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=MODE_OF_NOTES)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
    except OSError:
        remove(at, temporary)
        raise


def remove(at: int, name: str) -> None:
    """Remove a name, if it is there; what it points to stays.  Raises OSError."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=at)
