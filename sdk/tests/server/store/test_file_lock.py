"""A lock on a file, alone and shared, within one process and between processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from consilience.server.store.contract import StoreLockedError, StoreUnavailableError
from consilience.server.store.file_lock import FileLock

HOLD = "import sys, pathlib; from consilience.server.store.file_lock import FileLock; "
HOLD += "lock = FileLock(pathlib.Path(sys.argv[1]), shared=sys.argv[2] == 'shared'); print('held', flush=True); "
HOLD += "sys.stdin.read()"


@pytest.mark.parametrize(("held", "wanted"), [(False, False), (False, True), (True, False)])
def test_who_wants_it_alone_is_refused_beside_anybody(tmp_path: Path, *, held: bool, wanted: bool) -> None:
    lock = FileLock(tmp_path / "lock", shared=held)
    with pytest.raises(StoreLockedError, match="lock"):
        FileLock(tmp_path / "lock", shared=wanted)
    lock.release()
    FileLock(tmp_path / "lock", shared=wanted).release()


def test_it_is_shared_by_all_who_want_it_shared(tmp_path: Path) -> None:
    first, second = (FileLock(tmp_path / "lock", shared=True) for _ in range(2))
    first.release()
    with pytest.raises(StoreLockedError):
        FileLock(tmp_path / "lock")
    second.release()
    FileLock(tmp_path / "lock").release()


@pytest.mark.parametrize("how", ["shared", "alone"])
def test_the_system_gives_it_back_when_its_holder_is_killed(tmp_path: Path, how: str) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path / "lock"), how]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreLockedError):
            FileLock(tmp_path / "lock")
        os.kill(holder.pid, signal.SIGKILL)
    FileLock(tmp_path / "lock").release()


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(StoreUnavailableError, match="folder"):
        FileLock(tmp_path / "folder" / "lock")
