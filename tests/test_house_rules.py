"""What holds in every room: small files, names that say a purpose, nothing that ties the repository to one machine."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from scripts.machine_cache import ROOT

_MAX_LINES = 400
_NAMES_WITHOUT_A_PURPOSE = frozenset({"common", "helper", "helpers", "misc", "shared", "util", "utils"})
_GENERATED = re.compile(r"_pb2(_grpc)?\.pyi?$")
_VENDORED = ("proto/buf/", "proto/google/")
_REGISTRY = re.compile(r"pypi\.(org|io)|pythonhosted\.|registry\.npmjs|proxy\.golang|(?<!no-emit-)index-url")
_MACHINE = re.compile(r"(?<![\w.])/(root|work|Users|home/\w+|tmp/\w+)/")
_THIS_FILE = "tests/test_house_rules.py"  # its examples are what it looks for


def _tracked() -> list[str]:
    """Returns the paths of all files under version control that exist, from the top of the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def _written_by_us(suffix: str = "") -> list[str]:
    names = (name for name in _tracked() if name.endswith(suffix))
    return [name for name in names if not _GENERATED.search(name) and not name.startswith(_VENDORED)]


def _lines(name: str) -> list[str]:
    try:
        return (ROOT / name).read_text().splitlines()
    except UnicodeDecodeError:  # a binary file: an image, a vector
        return []


def _lines_with(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    for name in _written_by_us():
        yield from ((name, line.strip()) for line in _lines(name) if pattern.search(line))


def _has_no_purpose(name: str) -> bool:
    return any(PurePosixPath(part).stem in _NAMES_WITHOUT_A_PURPOSE for part in PurePosixPath(name).parts)


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    lengths = {name: len(_lines(name)) for name in _written_by_us(".py")}
    assert lengths
    assert {name: length for name, length in lengths.items() if length > _MAX_LINES} == {}


def test_every_name_says_a_purpose() -> None:
    assert [name for name in _written_by_us() if _has_no_purpose(name)] == []


def test_every_room_is_a_package_that_the_import_linter_sees() -> None:
    rooms = {PurePosixPath(name).parent for name in _written_by_us(".py") if "/src/" in name}
    assert [str(room) for room in sorted(rooms) if not (ROOT / room / "__init__.py").exists()] == []


@pytest.mark.parametrize("name", ["sdk/src/consilience/utils.py", "sdk/tests/helpers/clock.py"])
def test_a_name_without_a_purpose_is_noticed(name: str) -> None:
    assert _has_no_purpose(name)


def test_no_file_names_a_package_registry() -> None:
    assert [hit for hit in _lines_with(_REGISTRY) if hit[0] != _THIS_FILE] == []


@pytest.mark.parametrize("line", ["--extra-index-url x", "see https://pypi.org/project/x", "files.pythonhosted.org"])
def test_a_package_registry_is_noticed(line: str) -> None:
    assert _REGISTRY.search(line)


def test_no_file_names_a_path_of_one_machine() -> None:
    assert [hit for hit in _lines_with(_MACHINE) if hit[0] != _THIS_FILE] == []


@pytest.mark.parametrize("line", ["open('/root/x')", "cd /home/ann/consilience", '"/tmp/build/log"'])
def test_a_path_of_one_machine_is_noticed(line: str) -> None:
    assert _MACHINE.search(line)


def test_help_lists_every_task() -> None:
    tasks = re.findall(r"^\.PHONY: (\S+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    shown = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert tasks
    assert tasks == re.findall(r"^  make (\S+)", shown, flags=re.MULTILINE)
