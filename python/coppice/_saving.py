"""Checkpoints that appear whole or not at all, and stay after a power failure."""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path
from typing import Callable, List, Optional, Tuple

_ROOM = 1 << 20
_CHECKPOINT = re.compile(r"step-(\d{9})(\.[A-Za-z0-9._-]{1,40})?")


class SaveError(RuntimeError):
    """A function that was to save a checkpoint has not saved one."""


def checkpoint_name(step: int) -> str:
    return f"step-{step:09d}"


def step_of(name: str) -> Optional[int]:
    """The step of a checkpoint's file or folder; None for any other name."""
    match = _CHECKPOINT.fullmatch(name)
    return int(match.group(1)) if match else None


def checkpoints_in(folder: Path) -> List[Tuple[int, Path]]:
    """The complete checkpoints of a folder, the oldest first."""
    found = [(step_of(name), folder / name) for name in os.listdir(folder)]
    return sorted((step, path) for step, path in found if step is not None)


def save_durably(folder: Path, step: int, save: Callable[[Path], object]) -> Path:
    """Calls ``save(path)`` and gives what it wrote its final place.

    ``save`` writes a file or a folder at ``path``, or at ``path`` with a suffix (as numpy.savez
    does). Returns the final path once everything is durable.
    """
    name = checkpoint_name(step)
    staging = folder / f".saving-{name}"
    if staging.exists():
        shutil.rmtree(staging)
    staging.mkdir()
    try:
        try:
            save(staging / name)
        except Exception:
            _check_room(staging)
            raise
        written = os.listdir(staging)
        if len(written) != 1 or step_of(written[0]) != step:
            raise SaveError(f"the save function is to write one file or folder, at the path that it was given; "
                            f"it wrote {', '.join(sorted(written)) or 'nothing'}")
        _sync(staging / written[0])
        target = folder / written[0]
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        os.replace(staging / written[0], target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _sync_folder(folder)
    return target


def _check_room(folder: Path) -> None:
    """Raises OSError if the disk takes no megabyte more. Libraries hide a full disk behind errors of their own."""
    probe = folder / ".room"
    try:
        with open(probe, "wb") as file:
            file.write(bytes(_ROOM))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink()


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _sync(path: Path) -> None:
    """Makes a file, or a folder with all that is in it, durable."""
    mode = os.lstat(path).st_mode
    if stat.S_ISDIR(mode):
        for name in os.listdir(path):
            _sync(path / name)
        _sync_folder(path)
        return
    if not stat.S_ISREG(mode):
        raise SaveError(f"{path.name} is neither a file nor a folder; a checkpoint holds nothing else")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
