"""Scripts on the wire: the question to the skill `conformance.script`, whose steps are one oneof (spec chapter 7)."""

from __future__ import annotations

import functools

from google.protobuf.message import DecodeError

from consilience._wire import convert
from consilience._wire.violations import ViolationAtError, within
from consilience.asks import Citation, Progress
from consilience.conformance import (
    MAX_STEPS,
    ConformanceScript,
    OpenGate,
    ScriptedConclusion,
    ScriptedFailure,
    ScriptedToken,
    ScriptStep,
    WaitForGate,
)
from consilience.v1 import conformance_pb2

_KINDS: dict[str, type] = {
    "token": ScriptedToken,
    "citation": Citation,
    "progress": Progress,
    "conclusion": ScriptedConclusion,
}
_FIELDS: dict[type, str] = {kind: field for field, kind in _KINDS.items()}


def encode_script(script: ConformanceScript) -> bytes:
    """Returns the data of the blob that asks for a scripted answer."""
    message = conformance_pb2.ConformanceScript()
    convert.fill_envelope(message.grant, script.grant)
    for step in script.steps:
        _fill_step(message.steps.add(), step)
    return message.SerializeToString(deterministic=True)


def decode_script(encoded: bytes) -> ConformanceScript:
    """Returns the script that a blob holds; its grant is not verified.

    Raises:
        ViolationAtError: The bytes are none, or something required is absent.
    """
    try:
        message = conformance_pb2.ConformanceScript.FromString(encoded)
    except DecodeError as error:
        raise ViolationAtError("", "must be an encoded ConformanceScript") from error
    if not message.HasField("grant"):
        raise ViolationAtError("grant", "is required")
    # One step more than the rules allow is enough to refuse a script; a message can hold a million of them.
    steps = message.steps[: MAX_STEPS + 1]
    return ConformanceScript(
        grant=convert.envelope_from_message(message.grant),
        steps=tuple(within(f"steps[{index}]", _step, step) for index, step in enumerate(steps)),
    )


def _fill_step(message: conformance_pb2.ScriptStep, step: ScriptStep) -> None:
    match step:
        case WaitForGate(gate=gate):
            message.wait = gate
        case OpenGate(gate=gate):
            message.open = gate
        case ScriptedFailure(reason=reason):
            message.fail = reason
        case _:
            convert.fill(getattr(message, _FIELDS[type(step)]), step)


def _step(message: conformance_pb2.ScriptStep) -> ScriptStep:
    match message.WhichOneof("step"):
        case "wait":
            return WaitForGate(gate=message.wait)
        case "open":
            return OpenGate(gate=message.open)
        case "fail":
            return ScriptedFailure(reason=message.fail)
        case str(kind):
            step: ScriptStep = within(
                kind, functools.partial(convert.from_message, value_type=_KINDS[kind]), getattr(message, kind)
            )
            return step
        case _:
            raise ViolationAtError("step", "is required")
