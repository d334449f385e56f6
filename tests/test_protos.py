"""The checks of the protos pass on ours and fail on broken ones."""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.check_breaking import BUF, breaking_changes, frozen_images
from scripts.machine_cache import ROOT

_ENVELOPE = Path("proto/consilience/v1/envelope.proto")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the protos that a test may break."""
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    return tmp_path


def _buf(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BUF, *arguments], cwd=tree, check=False, capture_output=True, text=True)


def _replace(file: Path, old: str, *, by: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, by))


def _freeze(tree: Path) -> None:
    image = "proto/frozen/0.0.binpb"
    assert _buf(tree, "build", "--path", "proto/consilience", "-o", image).returncode == 0


def test_our_protos_pass_the_linter(tree: Path) -> None:
    assert _buf(tree, "lint").stdout == ""


def test_a_field_without_a_comment_fails_the_linter(tree: Path) -> None:
    file = tree / _ENVELOPE
    file.write_text(file.read_text() + "\n// Is here to be refused.\nmessage Silent {\n  string name = 1;\n}\n")
    found = _buf(tree, "lint")
    assert found.returncode == 100
    assert 'Field "name" should have a non-empty comment' in found.stdout


def test_a_misnamed_enum_value_fails_the_linter(tree: Path) -> None:
    file = tree / "proto/consilience/v1/ask.proto"
    file.write_text(file.read_text().replace("ROLE_ASKER", "ASKER"))
    assert 'should be prefixed with "ROLE_"' in _buf(tree, "lint").stdout


def test_protos_equal_to_a_frozen_image_break_nothing(tree: Path) -> None:
    _freeze(tree)
    assert len(frozen_images(tree)) == 1 + len(frozen_images(ROOT))
    assert breaking_changes(tree) == []


def test_a_removed_field_breaks_a_frozen_image(tree: Path) -> None:
    _freeze(tree)
    _replace(tree / _ENVELOPE, "bytes signature = 4", by="bytes seal = 5")
    assert any('field "4" with name "signature"' in change for change in breaking_changes(tree))


def test_a_changed_type_breaks_a_frozen_image(tree: Path) -> None:
    _freeze(tree)
    _replace(tree / _ENVELOPE, "bytes payload = 2", by="string payload = 2")
    assert any("changed type" in change for change in breaking_changes(tree))


def test_an_image_that_cannot_be_read_is_a_failure_and_no_finding(tree: Path) -> None:
    (tree / "proto/frozen/0.1.binpb").write_bytes(b"no image")
    with pytest.raises(RuntimeError, match=r"0\.1\.binpb"):
        breaking_changes(tree)
