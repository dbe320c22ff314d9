"""Which file system a path is on: SQLite can lock no file that comes over a network."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
"""Where Linux lists what is mounted; elsewhere nothing is known."""

NETWORK = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "glusterfs"),
    *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.beegfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone"),
}
"""Types of file systems whose locks do not hold among machines, or not at all."""


def network_file_system(path: Path) -> str | None:
    """Return the type of the network file system that a path is on; None where it is on this machine.

    Examples
    --------
    >>> network_file_system(Path("/proc/self"))
    """
    try:
        lines = MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return None
    kind = file_system(path, lines)
    return kind if kind in NETWORK else None


def file_system(path: Path, mounts: list[str]) -> str | None:
    """Return the type of the file system that a path is on.

    Parameters
    ----------
    path : Path
        Need not exist; symbolic links are followed.
    mounts : list of str
        Lines as in ``/proc/self/mountinfo``.

    Examples
    --------
    >>> file_system(Path("/data/s.db"), ["22 1 0:5 / / rw - ext4 /dev/vda rw", "23 22 0:6 / /data rw - nfs4 box:/ rw"])
    'nfs4'
    """
    real = path.resolve()
    found: tuple[int, str | None] = (-1, None)
    for line in mounts:
        place, _, source = line.partition(" - ")
        fields, kind = place.split(), source.split()
        if len(fields) < 5 or not kind:
            continue
        mount = Path(_unescaped(fields[4]))
        if real.is_relative_to(mount) and len(mount.parts) >= found[0]:  # of equals, the last hides those before
            found = (len(mount.parts), kind[0])
    return found[1]


def _unescaped(field: str) -> str:
    """Return a field with its blanks, which are written in octal."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
