"""Scripts written down in TOML or JSON.

::

    [model]                       # any field of ModelInfo but the digest; all optional
    id = "script"
    context_length_tokens = 4096

    [[programs]]
    when = "heisenbug"            # the first program whose `when` is in the last message is played
    steps = [
      { usage = 12, cached = 4 }, # tokens of the prompt; without this step its words are counted
      { emit = "A bug", tokens = 2, logprob = -0.25 },
      { emit_hex = "e282" },      # bytes, perhaps a part of a character
      { gate = "go" },            # waits until a test opens the gate
      { await_cancel = true },    # waits for the reader to go away
      { fail = "overloaded" },
      { stop = "length" },        # ends the answer; without it the last step does, with "end"
    ]
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from consilience_node.engines.errors import ModelNotFound, ModelUnusable
from consilience_node.engines.interface import StopCause
from consilience_node.engines.scripted.script import (
    DEFAULT_MODEL,
    AwaitCancel,
    Emit,
    Fail,
    FailReason,
    Gate,
    Program,
    Script,
    Step,
    Stop,
    Usage,
)

_KINDS = ("emit", "emit_hex", "gate", "usage", "await_cancel", "fail", "stop")
_DETAILS = {"emit": {"tokens", "logprob"}, "emit_hex": {"tokens", "logprob"}, "usage": {"cached"}}

Count = Annotated[int, Field(ge=0)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _StepForm(_Form):
    emit: str = ""
    emit_hex: Annotated[str, Field(pattern=r"^([0-9a-fA-F]{2})+$")] = ""
    tokens: Count = 1
    logprob: Annotated[float, Field(le=0)] | None = None
    gate: str = ""
    usage: Count = 0
    cached: Count = 0
    await_cancel: Literal[True] = True
    fail: Annotated[FailReason, Field(strict=False)] = FailReason.UNAVAILABLE
    stop: Annotated[StopCause, Field(strict=False)] = StopCause.END

    @model_validator(mode="after")
    def _is_one_step(self) -> _StepForm:
        kinds = [kind for kind in _KINDS if kind in self.model_fields_set]
        if len(kinds) != 1:
            raise ValueError(f"a step has exactly one of {', '.join(_KINDS)}")
        if strange := self.model_fields_set - {kinds[0]} - _DETAILS.get(kinds[0], set()):
            raise ValueError(f"{kinds[0]} has nothing to do with {', '.join(sorted(strange))}")
        return self

    def step(self) -> Step:
        match next(kind for kind in _KINDS if kind in self.model_fields_set):
            case "gate":
                return Gate(name=self.gate)
            case "usage":
                return Usage(prompt_tokens=self.usage, cached_prompt_tokens=self.cached)
            case "await_cancel":
                return AwaitCancel()
            case "fail":
                return Fail(reason=self.fail)
            case "stop":
                return Stop(cause=self.stop)
            case _:
                data = bytes.fromhex(self.emit_hex)
                return Emit(text=self.emit, data=data, tokens=self.tokens, logprob=self.logprob)


class _ProgramForm(_Form):
    when: str = ""
    steps: list[_StepForm]

    def program(self) -> Program:
        return Program(when=self.when, steps=tuple(step.step() for step in self.steps))


class _ModelForm(_Form):
    id: str = DEFAULT_MODEL.id
    family: str = ""
    parameter_count: Count = 0
    quantization: str = ""
    context_length_tokens: Annotated[int, Field(ge=2)] = DEFAULT_MODEL.context_length_tokens


class _ScriptForm(_Form):
    model: _ModelForm = _ModelForm()
    programs: list[_ProgramForm]


def load_script(path: Path) -> Script:
    """Reads a script from a TOML file, or from a JSON file if it is named so.

    Raises:
        ModelNotFound: there is no such file.
        ModelUnusable: it is no script; the reason names the place.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ModelNotFound(path=path, hint="give the path of a script") from error
    try:
        return parse_script(json.loads(text) if path.suffix == ".json" else tomllib.loads(text))
    except ValueError as error:
        raise ModelUnusable(path=path, reason=str(error)) from error


def parse_script(raw: object) -> Script:
    """Makes a script of what a TOML or JSON parser read.

    Raises:
        ValueError: it is no script; the message names the place.
    """
    try:
        form = _ScriptForm.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the script"
        raise ValueError(f"{place}: {first['msg']}") from error
    return Script(
        programs=tuple(program.program() for program in form.programs),
        model=replace(DEFAULT_MODEL, **form.model.model_dump()),
    )
