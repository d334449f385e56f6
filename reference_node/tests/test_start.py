from __future__ import annotations

import socket
from pathlib import Path

import pytest

from consilience_node.config import SkillTable
from reference_node.tests.processes import run, serving


def refused(*arguments: str | Path, folder: Path) -> tuple[int, str]:
    """Starts a node that cannot serve; returns its exit code and what it said."""
    ended = run("serve", "--address", "127.0.0.1:0", "--state-folder", folder / "state", *arguments)
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    return ended.returncode, ended.stderr


def test_a_wrong_configuration_is_told_with_its_lines(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text('[node]\nname = 1\n\n[[skills]]\nid = "a"\nmodel = "x"\nknowlege = "docs"\n')
    code, said = refused("--config", config, folder=tmp_path)
    assert code == 2
    assert said.splitlines() == [
        f"{config}:2: node.name: input should be a valid string, not 1",
        f"{config}:7: skills[0].knowlege: unknown key; known: {', '.join(SkillTable.model_fields)}",
    ]


def test_a_model_that_is_not_there_is_named_with_the_ones_there_are(tmp_path: Path) -> None:
    code, said = refused("--model", "gpt-5", folder=tmp_path)
    assert code == 3
    assert "gpt-5" in said
    assert "smollm2-135m-instruct" in said


def test_a_file_that_is_no_model_is_told_in_one_line(tmp_path: Path) -> None:
    weights = tmp_path / "notes.gguf"
    weights.write_text("This is no model.")
    code, said = refused("--model", weights, folder=tmp_path)
    assert code == 3
    assert said == f"cannot run the model {str(weights)!r}: it does not begin with GGUF; is it a whole GGUF file?\n"


@pytest.mark.parametrize("content", [b"", b"GGUF\x03\0\0\0" + bytes(4096)])
def test_a_damaged_model_is_told_in_words(tmp_path: Path, content: bytes) -> None:
    weights = tmp_path / "damaged.gguf"
    weights.write_bytes(content)
    code, said = refused("--model", weights, folder=tmp_path)
    assert code == 3
    assert str(weights) in said
    assert "is it a whole GGUF file?" in said


def test_a_port_that_is_taken_is_told_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = refused("--address", address, folder=tmp_path)
    assert code == 5
    assert said == f"the address {address} is in use: stop the process that listens there, or choose another port\n"


def test_a_metrics_port_that_is_taken_is_told_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = refused("--metrics-address", address, folder=tmp_path)
    assert code == 5
    assert said.endswith(f"\ncannot serve metrics on {address}: Address already in use\n")


def test_a_ready_file_that_cannot_be_written_is_told_in_words(tmp_path: Path) -> None:
    code, said = refused("--ready-file", tmp_path / "no" / "folder", folder=tmp_path)
    assert code == 5
    assert "cannot write the ready file" in said


@pytest.mark.parametrize("stores", ["sqlite sqlite", "memory memory", "sqlite memory", "memory sqlite"])
def test_a_second_node_on_one_state_folder_is_refused(tmp_path: Path, stores: str) -> None:
    first, second = stores.split()
    with serving("--config", scripted(tmp_path), "--store", first, folder=tmp_path):
        card = (tmp_path / "state" / "card.bin").read_bytes()
        code, said = refused("--config", scripted(tmp_path), "--store", second, folder=tmp_path)
        assert (tmp_path / "state" / "card.bin").read_bytes() == card
    assert code == 6
    assert said.splitlines()[-2:] == in_use(tmp_path)
    assert "replica" not in said


def test_two_registries_on_one_state_folder_are_refused_whatever_they_share(tmp_path: Path) -> None:
    with serving("--store", f"sqlite:////{tmp_path}/one.db", folder=tmp_path, verb="registry"):
        words = ("--state-folder", tmp_path / "state", "--store", f"sqlite:////{tmp_path}/two.db")
        second = run("registry", "--address", "127.0.0.1:0", *words)
    assert second.returncode == 6
    assert second.stderr.splitlines()[-2:] == in_use(tmp_path)


def test_replicas_with_names_of_their_own_share_the_state_folder(tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    replica = scripted(second, 'replica = "second"')
    with (
        serving("--config", scripted(tmp_path), folder=tmp_path) as one,
        serving("--config", replica, "--state-folder", tmp_path / "state", folder=second) as other,
    ):
        assert one.address.partition("@")[0] == other.address.partition("@")[0]
        code, said = refused("--config", replica, folder=tmp_path)
        assert (code, said.splitlines()[-2:]) == (6, in_use(tmp_path))


def scripted(folder: Path, *lines: str) -> Path:
    """Writes down a node that takes no time to start, and returns its file."""
    (folder / "script.toml").write_text('[[programs]]\nsteps = [{ emit = "Done." }]\n')
    file = folder / "node.toml"
    model = '[[models]]\nid = "s"\nengine = "scripted"\nscript = "script.toml"\n'
    text = "\n".join(("[node]", *lines, model, '[[skills]]\nid = "chat"\nmodel = "s"\n'))
    file.write_text(text)
    return file


def in_use(folder: Path) -> list[str]:
    return [
        f"another node works on the state folder {folder / 'state'}",
        "Stop the other node, or give this one a folder of its own: --state-folder, or state_folder under [node].",
    ]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    key = tmp_path / "state" / "root.key"
    key.write_text("consilience-ed25519-seed-v1\n")
    key.chmod(0o644)
    code, said = refused(folder=tmp_path)
    assert code == 6
    assert "others can read the key file" in said


@pytest.mark.parametrize("content", ["", "rubbish\n", "consilience-ed25519-seed-v1\n!!!!\n"])
def test_a_damaged_key_is_not_to_be_made_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "state").mkdir()
    key = tmp_path / "state" / "root.key"
    key.write_text(content)
    key.chmod(0o600)
    code, said = refused(folder=tmp_path)
    assert code == 6
    assert str(key) in said
    assert "come back from a copy" in said
    assert "keys new" not in said


@pytest.mark.parametrize("file", ["answers.sqlite", "records.sqlite"])
def test_a_damaged_database_is_not_told_as_a_full_disk(tmp_path: Path, file: str) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / file).write_text("This is no database. " * 100)
    (tmp_path / "node.toml").write_text("models = []\nskills = []\n[registry]\n")
    code, said = refused("--config", tmp_path / "node.toml", folder=tmp_path)
    assert code == 6
    assert file in said
    assert "a copy of the file" in said


def test_a_state_folder_that_cannot_be_made_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    code, said = refused(folder=tmp_path)
    assert code == 6
    assert f"cannot make the state folder {tmp_path / 'state'}: File exists\n" in said
    assert "--state-folder" in said.splitlines()[-1]


def test_a_cache_that_cannot_be_written_does_not_keep_a_node_from_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file, in which nobody makes a folder, root neither")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with serving(folder=tmp_path) as node:
        log = node.log
    assert log.count("cannot write the cache") == 1
    assert "XDG_CACHE_HOME" in log


def test_words_for_a_node_without_a_file_are_refused_beside_a_file(tmp_path: Path) -> None:
    (tmp_path / "node.toml").touch()
    code, said = refused("--config", tmp_path / "node.toml", "--knowledge", "docs", folder=tmp_path)
    assert code == 2
    assert "--knowledge go without --config" in said


def test_knowledge_that_is_not_there_is_named(tmp_path: Path) -> None:
    code, said = refused("--knowledge", tmp_path / "none", folder=tmp_path)
    assert code == 4
    assert str(tmp_path / "none") in said


def test_a_single_file_of_knowledge_is_told_as_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "v.md").write_text("# Heisenbug")
    code, said = refused("--knowledge", tmp_path / "v.md", folder=tmp_path)
    assert code == 4
    assert f"{tmp_path / 'v.md'} is a single file; name the folder that it lies in" in said


def test_knowledge_that_is_no_text_is_told_with_file_and_place(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_bytes(b"caf\xe9")
    code, said = refused("--knowledge", tmp_path / "docs", folder=tmp_path)
    assert code == 4
    assert "a.txt is not UTF-8 (invalid byte at offset 3)" in said


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    (tmp_path / "node.toml").write_text(
        f'models = [{{ id = "m", engine = "openai", base_url = "http://{address}/v1" }}]\n'
        'skills = [{ id = "chat", model = "m" }]\n'
    )
    code, said = refused("--config", tmp_path / "node.toml", folder=tmp_path)
    assert code == 3
    assert f"no answer from http://{address}/v1" in said


def test_a_key_that_the_environment_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(
        'models = [{ id = "m", engine = "openai", base_url = "http://127.0.0.1:9/v1", api_key_variable = "NO_KEY" }]\n'
        'skills = [{ id = "chat", model = "m" }]\n'
    )
    code, said = refused("--config", tmp_path / "node.toml", folder=tmp_path)
    assert code == 3
    assert "environment variable NO_KEY" in said
