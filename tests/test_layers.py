"""The import linter keeps the order of the house, and a climbing import fails it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.machine_cache import ROOT

_SOURCES = ("sdk/src", "reference_node/src", "conformance/src")


def _lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    sources = os.pathsep.join(str(tree / folder) for folder in _SOURCES)
    linter = Path(sys.executable).with_name("lint-imports")
    command: list[str | Path] = [linter, "--no-cache", "--config", tree / "pyproject.toml"]
    environment = {**os.environ, "PYTHONPATH": sources, "NO_COLOR": "1"}
    return subprocess.run(command, cwd=tree, check=False, capture_output=True, text=True, env=environment)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the three source trees that a test may break."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in _SOURCES:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("sdk/src/consilience/units.py", "import consilience.calls", "Imports go down the house"),
        ("sdk/src/consilience/identity.py", "import consilience.envelopes", "Imports go down the house"),
        (
            "conformance/src/consilience_conformance/__init__.py",
            "import consilience.envelopes",
            "The judge knows nothing of ours but the wire",
        ),
        ("sdk/src/consilience/units.py", "import consilience_conformance", "Nothing of ours knows the judge"),
        ("sdk/src/consilience/nodes/cards.py", "import google.protobuf.message", "Raw protobuf stays in v1 and _wire"),
        (
            "sdk/src/consilience/nodes/cards.py",
            "import consilience.v1.node_pb2",
            "Messages are read and written in _wire alone",
        ),
        (
            "sdk/src/consilience/envelopes.py",
            "import grpc",
            "grpc stays in v1, _wire, rails.bank, client, server and testing",
        ),
    ],
)
def test_an_import_that_climbs_is_refused(tree: Path, module: str, line: str, contract: str) -> None:
    file = tree / module
    file.write_text(f"{file.read_text()}\n{line}\n")
    found = _lint_imports(tree)
    assert found.returncode == 1
    assert f"{contract} BROKEN" in found.stdout


def test_our_imports_keep_every_contract(tree: Path) -> None:
    found = _lint_imports(tree)
    assert found.returncode == 0, found.stdout
