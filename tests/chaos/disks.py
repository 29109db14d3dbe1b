"""Disks that can run full: small tmpfs mounts in a mount namespace of the harness's own, so that nothing is left mounted behind it."""
import errno
import os
import subprocess
import sys

INSIDE = 'COPPICE_CHAOS_NAMESPACE'


def enter_namespace():
    """Starts this program again in a mount namespace, with or without root; returns where that is not allowed (then no disk can be filled)."""
    if os.environ.get(INSIDE):
        return
    as_root = ['unshare', '--mount', '--propagation', 'private']
    for command in (as_root, as_root + ['--user', '--map-root-user']):
        probe = 'd=$(mktemp -d) && mount -t tmpfs -o size=64k tmpfs "$d" && umount "$d" && rmdir "$d"'
        try:
            allowed = subprocess.run(command + ['sh', '-c', probe], capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            allowed = False
        if allowed:
            os.environ[INSIDE] = 'yes'
            os.execvp(command[0], command + [sys.executable] + sys.argv)
    os.environ[INSIDE] = 'no'


def can_mount():
    return os.environ.get(INSIDE) == 'yes'


class Disk:
    """A folder; with a size of its own where mounting is allowed."""

    def __init__(self, path, megabytes):
        self.path = path
        os.makedirs(path)
        self.limited = can_mount()
        if self.limited:
            subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={megabytes}m', 'tmpfs', path], check=True)

    @property
    def _ballast(self):
        return os.path.join(self.path, 'ballast')

    @property
    def full(self):
        return os.path.exists(self._ballast)

    def fill(self):
        with open(self._ballast, 'wb', buffering=0) as file:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        file.write(b'\0' * size)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self):
        if self.full:
            os.remove(self._ballast)

    def unmount(self):
        if self.limited:
            subprocess.run(['umount', '--lazy', self.path], check=False)
            self.limited = False
