"""Which file system a path is on."""

from __future__ import annotations

from pathlib import Path

import pytest

from autotune.study.file_systems import MOUNTS, file_system, network_file_system

LINES = """\
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
31 27 0:40 / /home rw,relatime shared:5 - autofs systemd-1 rw,fd=40
40 31 0:50 / /home rw,relatime shared:9 master:2 - nfs4 box:/home rw,vers=4.2
41 40 0:51 / /home/ann/fast rw - xfs /dev/vdb rw
42 27 0:52 / /mnt/a\\040share rw - cifs //box/share rw
43 27 0:53 / /homely rw - ext4 /dev/vdc rw
a line of some other kind
""".splitlines()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/study.db", "ext4"),
        ("/home/ann/study.db", "nfs4"),  # which was mounted over autofs
        ("/home/ann/fast/study.db", "xfs"),
        ("/home/ann/fast/../study.db", "nfs4"),
        ("/homely/study.db", "ext4"),
        ("/mnt/a share/study.db", "cifs"),
    ],
)
def test_the_longest_mount_point_wins(path: str, kind: str) -> None:
    assert file_system(Path(path), LINES) == kind


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "near").symlink_to(tmp_path / "far")
    lines = [*LINES, f"50 27 0:60 / {tmp_path / 'far'} rw - fuse.sshfs box: rw"]
    assert file_system(tmp_path / "near" / "study.db", lines) == "fuse.sshfs"


@pytest.mark.skipif(not MOUNTS.exists(), reason="this system does not list what is mounted")
def test_what_is_mounted_here_is_found() -> None:
    assert file_system(Path("/proc/self"), MOUNTS.read_text().splitlines()) == "proc"
    assert network_file_system(Path("/proc/self")) is None


def test_a_system_that_does_not_list_its_mounts_knows_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autotune.study.file_systems.MOUNTS", tmp_path / "none")
    assert network_file_system(tmp_path) is None
