"""What is kept per machine is made once, whole, and by one process at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import build_llama
from scripts.machine_cache import ROOT, cache_dir, digest_of

_MAKE_ONCE = """
import sys, time
from pathlib import Path
from scripts.machine_cache import exclusive

made, attempts = Path(sys.argv[1]), Path(sys.argv[2])
with exclusive("thing"):
    if not made.exists():
        with attempts.open("a") as log:
            log.write("made\\n")
        time.sleep(0.2)
        made.touch()
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this machine."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache_dir()


def test_cache_lies_where_the_desktop_standard_says(cache: Path, tmp_path: Path) -> None:
    assert cache == tmp_path / "consilience"
    assert cache.is_dir()


def test_processes_that_start_together_make_a_thing_once(cache: Path, tmp_path: Path) -> None:
    made, attempts = cache / "made", tmp_path / "attempts"
    command = [sys.executable, "-c", _MAKE_ONCE, str(made), str(attempts)]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    told = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    assert attempts.read_text() == "made\n"
    assert {output for output, _ in told} == {""}  # whoever reads what a maker prints reads what was made
    assert "waiting for another process that makes thing" in "".join(errors for _, errors in told)


def test_digest_follows_the_content_and_the_order_of_files(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("a")
    second.write_text("b")
    before = digest_of(first, second)
    assert digest_of(second, first) != before
    second.write_text("c")
    assert digest_of(first, second) != before


def test_llama_wheel_that_was_compiled_before_is_used_again(cache: Path) -> None:
    wheel = cache / "wheels" / f"llama_cpp_python-{build_llama.pinned_version()}-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    assert build_llama.llama_wheel() == wheel


@pytest.mark.parametrize("name", ["0.0.1-py3-none-any", "{version}-cp27-cp27m-win32"])
def test_llama_wheel_of_another_version_or_platform_is_not_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    wheels = cache / "wheels"
    wheels.mkdir()
    (wheels / f"llama_cpp_python-{name.format(version=build_llama.pinned_version())}.whl").touch()
    monkeypatch.setenv("PATH", str(cache))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(SystemExit, match=r"C\+\+ compiler: install one"):
        build_llama.llama_wheel()
