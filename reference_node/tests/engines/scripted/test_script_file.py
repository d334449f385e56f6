from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from consilience_node.engines import ModelNotFound, ModelUnusable, StopCause
from consilience_node.engines.scripted import (
    AwaitCancel,
    Emit,
    Fail,
    FailReason,
    Gate,
    Program,
    Script,
    Stop,
    Usage,
    load_script,
    parse_script,
)
from consilience_node.engines.scripted.script import DEFAULT_MODEL

WRITTEN = """
[model]
id = "oracle"
context_length_tokens = 99

[[programs]]
when = "heisenbug"
steps = [
  { usage = 12, cached = 4 },
  { emit = "A bug", tokens = 2, logprob = -0.25 },
  { emit_hex = "e282" },
  { gate = "go" },
  { await_cancel = true },
  { fail = "overloaded" },
  { stop = "length" },
]
"""


def test_every_kind_of_step_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text(WRITTEN)
    script = load_script(path)
    assert (script.model.id, script.model.context_length_tokens, script.model.engine) == ("oracle", 99, "scripted")
    assert script.programs == (
        Program(
            when="heisenbug",
            steps=(
                Usage(prompt_tokens=12, cached_prompt_tokens=4),
                Emit(text="A bug", tokens=2, logprob=-0.25),
                Emit(data=b"\xe2\x82"),
                Gate(name="go"),
                AwaitCancel(),
                Fail(reason=FailReason.OVERLOADED),
                Stop(cause=StopCause.LENGTH),
            ),
        ),
    )


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(json.dumps({"programs": [{"steps": [{"emit": "Yes."}, {"fail": "unavailable"}]}]}))
    steps = (Emit(text="Yes."), Fail(reason=FailReason.UNAVAILABLE))
    assert load_script(path) == Script(programs=(Program(steps=steps),), model=DEFAULT_MODEL)


@pytest.mark.parametrize(
    ("step", "place"),
    [
        ({}, "exactly one of"),
        ({"emit": "a", "gate": "b"}, "exactly one of"),
        ({"emit": "a", "cached": 1}, "cached"),
        ({"emit": 7}, "programs.0.steps.0.emit"),
        ({"emit": "a", "logprob": 0.5}, "programs.0.steps.0.logprob"),
        ({"emit_hex": "e28"}, "programs.0.steps.0.emit_hex"),
        ({"fail": "badly"}, "programs.0.steps.0.fail"),
        ({"stop": "now"}, "programs.0.steps.0.stop"),
        ({"usage": -1}, "programs.0.steps.0.usage"),
        ({"await_cancel": False}, "programs.0.steps.0.await_cancel"),
        ({"dance": True}, "programs.0.steps.0.dance"),
    ],
)
def test_step_that_means_nothing_is_refused_and_its_place_named(step: dict[str, Any], place: str) -> None:
    with pytest.raises(ValueError, match=place):
        parse_script({"programs": [{"steps": [step]}]})


@pytest.mark.parametrize("raw", [[], {}, {"programs": [], "extra": 1}, {"programs": [{"steps": 3}]}])
def test_what_is_no_script_is_refused(raw: object) -> None:
    with pytest.raises(ValueError, match=r"programs|extra|script"):
        parse_script(raw)


def test_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "script.toml"
    path.write_text("programs = [")
    with pytest.raises(ModelUnusable, match=r"script\.toml"):
        load_script(path)
    with pytest.raises(ModelNotFound, match=r"none\.toml"):
        load_script(tmp_path / "none.toml")


def test_first_program_that_fits_the_message_is_played() -> None:
    special, general = Program(when="cat", steps=()), Program(steps=())
    script = Script(programs=(special, general))
    assert script.program_for("a cat") is special
    assert script.program_for("a dog") is general
    assert Script(programs=(special,)).program_for("a dog") is None
