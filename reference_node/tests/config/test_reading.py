from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from consilience.nodes import DataClass
from consilience_node.config import Config, ConfigError, LlamaCppModel, OpenAIModel, read_config
from consilience_node.config.reading import tables_in
from reference_node.tests.config.files import complaint, written

EXAMPLE = Path(__file__).parents[3] / "examples" / "nodes" / "node.toml"


def test_an_empty_file_is_the_configuration_without_a_file(tmp_path: Path) -> None:
    assert read_config(written(tmp_path, "")) == Config()


def test_the_commented_example_is_valid() -> None:
    config = read_config(EXAMPLE)
    assert [skill.id for skill in config.skills]


def tables_within(table: type[BaseModel]) -> set[type[BaseModel]]:
    """Returns a table, and all that can stand in it."""
    inner = (each for field in table.model_fields.values() for each in tables_in(field.annotation))
    return {table}.union(*map(tables_within, inner))


def test_the_commented_example_has_every_key() -> None:
    text = EXAMPLE.read_text()
    keys = {key for table in tables_within(Config) for key in table.model_fields}
    shown = re.compile(r"^(?:# )?(?:\[+(?:\w+\.)?(\w+)\]+|(\w+) = )|[{,] (\w+) = ", re.MULTILINE)
    told = {key for match in shown.finditer(text) for key in match.groups()}
    assert keys - told == {"script"}, "which is for tests"


def test_every_kind_of_model_is_read(tmp_path: Path) -> None:
    config = read_config(
        written(
            tmp_path,
            """
            models = [
              { id = "a", engine = "llama_cpp", weights = "models/a.gguf" },
              { id = "b", engine = "openai", base_url = "http://127.0.0.1:8080/v1" },
              { id = "c", engine = "scripted", script = "c.json" },
            ]
            skills = [{ id = "chat", model = "a" }]
            """,
        )
    )
    first, second, _ = config.models
    assert isinstance(first, LlamaCppModel)
    assert first.weights == str(tmp_path / "models" / "a.gguf")
    assert isinstance(second, OpenAIModel)


def test_limits_are_given_in_seconds_and_stated_as_durations(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, "[limits]\nmax_run_seconds = 1.5\nmax_turns = 3\n"))
    assert config.limits.limits().max_run_time == timedelta(seconds=1.5)
    assert config.limits.limits().max_turns == 3


def test_a_data_class_is_named_in_words(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, '[data_policy]\nmax_data_class = "internal"\n'))
    assert config.data_policy.max_data_class is DataClass.INTERNAL


def test_paths_are_relative_to_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "handbook").mkdir()
    config = read_config(
        written(
            tmp_path,
            '[node]\nstate_folder = "state"\n[[skills]]\nid = "a"\nmodel = "smollm2-135m-instruct"\n'
            'knowledge = "handbook"\n[[skills]]\nid = "b"\nmodel = "smollm2-135m-instruct"\nknowledge = "foldoc"\n',
        )
    )
    assert config.node.state_folder == tmp_path / "state"
    assert config.skills[0].knowledge == str(tmp_path / "handbook")
    assert config.skills[1].knowledge == "foldoc", "the name of something installed stays a name"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[node]\n\nnmae = "x"\n', "node.toml:3: node.nmae: unknown key; known: name, description, address"),
        ("[nodes]\n", "node.toml:1: nodes: unknown key; known: node, tls, data_policy, limits, models, skills"),
        ("[tls]\nkeys = 1\n", "node.toml:2: tls.keys: unknown key; known: mode, certificate, key"),
        (
            '[[skills]]\nid = "a"\nmodel = "b"\n[skills.limits]\nmax = 3\n',
            "node.toml:5: skills[0].limits.max: unknown key; known: max_turns, max_input_bytes",
        ),
        (
            '[[models]]\nid = "a"\nengine = "scripted"\nscript = "a"\nfile = "b"\n',
            "node.toml:5: models[0].file: unknown key; known: engine, id, script",
        ),
        ('[limits]\nmax_turns = "32"\n', "node.toml:2: limits.max_turns: input should be a valid integer, not '32'"),
        ("[limits]\nmax_turns = true\n", "node.toml:2: limits.max_turns: input should be a valid integer, not True"),
        ('[node]\naddress = "here"\n', 'node.toml:2: node.address: must be "host:port"'),
        ('[node]\naddress = "127.0.0.1:70000"\n', 'node.toml:2: node.address: must be "host:port"'),
        ('[data_policy]\nmax_data_class = "secret"\n', "data_policy.max_data_class: must be one of public, internal"),
        ('[[skills]]\nid = "a"\n', "node.toml:1: skills[0].model: is missing"),
        ('[[skills]]\nmodel = "x"\nid = "A b"\n', "node.toml:3: skills[0].id: must match ^"),
        ('[[models]]\nid = "a"\n', "node.toml:1: models[0].engine: is missing; known: llama_cpp, openai, scripted"),
        ('[[models]]\nid = "a"\nengine = "vllm"\n', "node.toml:3: models[0].engine: unknown engine"),
        ('[[models]]\nengine = "openai"\nid = "a"\n', "node.toml:1: models[0].base_url: is missing"),
        ('[[models]]\nengine = "scripted"\nid = "a"\nscript = 3\n', "node.toml:4: models[0].script: "),
        ('[[skills]]\nid = "a"\nmodel = "x"\n', 'node.toml:3: skills[0].model: unknown model "x"; known: smollm2'),
        ('[node]\naddress = "0.0.0.0:7341"\n', 'node.toml:1: node.advertise: is missing: nobody can call "0.0.0.0"'),
        ('[tls]\nmode = "webpki"\ncertificate = "a.pem"\n', "node.toml:1: tls.key: is missing"),
        ('[tls]\nkey = "a.pem"\n', 'node.toml:2: tls.key: goes with mode = "webpki"'),
        ("skills = []\n", "node.toml:1: skills: a node has one skill at least"),
    ],
)
def test_an_error_names_line_key_and_what_is_wrong(tmp_path: Path, text: str, expected: str) -> None:
    assert complaint(tmp_path, text).startswith(expected) or expected in complaint(tmp_path, text)


def test_every_error_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    lines = complaint(tmp_path, "[node]\nname = 3\nx = 1\n[limits]\nmax_turns = 0\n").splitlines()
    assert [line.split(": ")[0] for line in lines] == ["node.toml:2", "node.toml:3", "node.toml:5"]


def test_an_id_that_is_used_twice_is_refused_where_it_is_used_again(tmp_path: Path) -> None:
    skill = '[[skills]]\nid = "a"\nmodel = "smollm2-135m-instruct"\n'
    assert complaint(tmp_path, skill * 2) == 'node.toml:5: skills[1].id: "a" is used twice; ids are unique'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[node]\nname = \n", "node.toml:2: not TOML: invalid value"),
        ("[node]\n\nname = 'x", "node.toml:3: not TOML: "),
        ("[a]\nb = 1\n[a]\n", "node.toml:3: not TOML: cannot declare ('a',) twice"),
    ],
)
def test_what_is_no_toml_is_refused_with_the_line(tmp_path: Path, text: str, expected: str) -> None:
    assert complaint(tmp_path, text).startswith(expected)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^cannot read .*none\.toml: No such file or directory$"):
        read_config(tmp_path / "none.toml")
    (tmp_path / "node.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"^cannot read .*node\.toml: it is no text in UTF-8$"):
        read_config(tmp_path / "node.toml")
