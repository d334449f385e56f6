"""Each distribution is a whole wheel, and runs alone with nothing but what it declares."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from scripts.machine_cache import LOCKS, ROOT, downloaded, environment_python, run_pip

_FOLDERS = {
    "consilience": ROOT,
    "consilience-node": ROOT / "reference_node",
    "consilience-conformance": ROOT / "conformance",
}
_NOT_OF_THE_BASE = (
    *("click", "cryptography", "jsonschema", "numpy", "opentelemetry", "pydantic", "rich", "scipy", "sqlalchemy"),
)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a freshly built wheel of each distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    build: list[str | Path] = [
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
    ]
    run_pip(sys.executable, *build, *_FOLDERS.values())
    return folder


class _Environment:
    """A new virtual environment, without pip, into which wheels are installed by the pip that runs the tests."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.python = environment_python(folder)

    def install(self, name: str, *, wheels: Path, lock: str = "dev") -> None:
        """Installs one distribution and what it declares, found in our wheels and the downloads of a lock alone."""
        sources: list[str | Path] = [
            "--no-index",
            "--find-links",
            wheels,
            "--find-links",
            downloaded(LOCKS / f"{lock}.txt"),
        ]
        run_pip(sys.executable, "--python", self.python, "install", "--quiet", "--no-compile", *sources, name)

    def run(self, program: str) -> str:
        """Runs a program that knows nothing of this repository, warnings being errors; returns what it printed."""
        command: list[str | Path] = [self.python, "-I", "-W", "error", "-c", program]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def environment(tmp_path: Path) -> _Environment:
    return _Environment(tmp_path / "environment")


def _content(wheels: Path, name: str) -> list[str]:
    (wheel,) = wheels.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
    return zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize("name", _FOLDERS)
def test_wheel_is_whole_and_holds_nothing_else(wheels: Path, name: str) -> None:
    content = _content(wheels, name)
    package = name.replace("-", "_")
    assert f"{package}/py.typed" in content
    assert any(entry.endswith(".dist-info/licenses/LICENSE") for entry in content)
    assert [entry for entry in content if Path(entry).name.startswith(("test_", "conftest"))] == []
    assert {entry.split("/")[0].split("-")[0] for entry in content} <= {package, "buf"}


def test_conformance_wheel_ships_what_the_judge_reads(wheels: Path) -> None:
    source = ROOT / "conformance/src"
    listed = subprocess.run(["git", "ls-files"], cwd=source, check=True, capture_output=True, text=True)
    data = {name for name in listed.stdout.splitlines() if not name.endswith(".py") and (source / name).exists()}
    known = ("descriptors/consilience_v1.binpb", "requirements.json", "selftest/mutants.toml", "vectors/cards.json")
    assert {f"consilience_conformance/{name}" for name in known} <= data
    assert data <= set(_content(wheels, "consilience-conformance"))


def test_conformance_wheel_says_whose_its_constraints_are(wheels: Path) -> None:
    (wheel,) = wheels.glob("consilience_conformance-[0-9]*.whl")
    (entry,) = (one for one in zipfile.ZipFile(wheel).namelist() if one.endswith(".dist-info/licenses/NOTICE"))
    notice = zipfile.ZipFile(wheel).read(entry).decode()
    vendored = (ROOT / "proto/README.md").read_text()
    (version_of_theirs,) = re.findall(r"`buf/validate` .*\((protovalidate v[\d.]+), Apache-2\.0\)", vendored)
    assert version_of_theirs in notice
    assert "Copyright 2023-2026 Buf Technologies, Inc." in notice


def test_sdk_runs_alone_on_its_base_dependencies(wheels: Path, environment: _Environment) -> None:
    environment.install("consilience", wheels=wheels)
    environment.run("from consilience import Client, KeyPair; Client; KeyPair")
    found = environment.run(
        f"from importlib.util import find_spec; print([n for n in {_NOT_OF_THE_BASE!r} if find_spec(n)])"
    )
    assert found == "[]"


def test_sdk_runs_on_the_oldest_dependencies_it_declares(wheels: Path, environment: _Environment) -> None:
    environment.install("consilience", wheels=wheels, lock="lowest")
    version = environment.run(
        "from consilience import Client\n"
        "from consilience.v1 import ask_pb2, ask_pb2_grpc, envelope_pb2, error_details_pb2, error_reason_pb2\n"
        "from consilience.v1 import node_pb2, node_pb2_grpc\n"
        "import google.protobuf\n"
        "print(google.protobuf.__version__)"
    )
    assert version == "6.31.1"


def test_reputation_runs_on_its_extra_and_says_so_without_it(wheels: Path, environment: _Environment) -> None:
    environment.install("consilience", wheels=wheels)
    said = environment.run(
        "try:\n import consilience.network.reputation\nexcept ModuleNotFoundError as error: print(error)"
    )
    assert 'pip install "consilience[network]"' in said
    environment.install("consilience[network]", wheels=wheels)
    environment.run("from consilience.network.reputation import Reputation; Reputation")


def test_node_runs_alone(wheels: Path, environment: _Environment) -> None:
    environment.install("consilience-node", wheels=wheels)
    assert "serve" in environment.run(
        "import sys; sys.argv = ['consilience-node', '--help']; from consilience_node.cli import main; main()"
    )


def test_conformance_runs_alone(wheels: Path, environment: _Environment) -> None:
    environment.install("consilience-conformance", wheels=wheels, lock="conformance")
    for words, said in (["list"], "SIG-ENV-001"), (["vectors"], "EnvelopeVerify"), (["explain", "ask"], "kills"):
        program = f"import sys; sys.argv[1:] = {words!r}\nfrom consilience_conformance.cli import main; main()"
        assert said in environment.run(program)


def test_judge_declares_what_it_imports_and_nothing_else() -> None:
    project = tomllib.loads((ROOT / "conformance/pyproject.toml").read_text())["project"]
    declared = {re.split("[^a-z0-9-]", dependency)[0] for dependency in project["dependencies"]}
    assert {_DISTRIBUTIONS_BY_IMPORT.get(name, name) for name in _imports_of_the_judge()} == declared


_DISTRIBUTIONS_BY_IMPORT = {
    "google.protobuf": "protobuf",
    "google.rpc": "googleapis-common-protos",
    "grpc": "grpcio",
    "nacl": "pynacl",
}
_OURS = ("buf", "consilience_conformance")
_OF_PYTEST = "pytest_*.py"  # loaded by pytest alone, which is there then


def _imports_of_the_judge() -> Iterator[str]:
    """Yields the modules of others by their first name; for those of google, the first two."""
    for file in (ROOT / "conformance/src/consilience_conformance").rglob("*.py"):
        ours = {*sys.stdlib_module_names, *_OURS, *(["pytest"] if file.match(_OF_PYTEST) else [])}
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            else:
                modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for words in (module.split(".") for module in modules):
                if words[0] not in ours:
                    yield ".".join(words[: 2 if words[0] == "google" else 1])


@pytest.mark.parametrize("name", _FOLDERS)
def test_versions_of_package_and_distribution_agree(name: str) -> None:
    assert import_module(name.replace("-", "_")).__version__ == version(name)
