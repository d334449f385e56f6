"""Scripts and grants on the wire: the example of the specification, and every constraint, broken one by one."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consilience._wire import convert
from consilience._wire.envelopes import open_envelope, seal, to_bytes
from consilience._wire.scripts import decode_script, encode_script
from consilience.asks import Confidence, DroppedSide, Intake, Progress
from consilience.conformance import (
    ConformanceGrant,
    ConformanceScript,
    OpenGate,
    ScriptedConclusion,
    ScriptedFailure,
    ScriptedToken,
    WaitForGate,
    check_grant,
    check_script,
)
from consilience.errors import FieldInvalidError, FieldViolations
from consilience.identity import KeyPair
from consilience.units import PublicKey
from consilience.v1 import conformance_pb2
from scripts.machine_cache import ROOT
from sdk.tests._wire.chains import Chain
from sdk.tests._wire.declarations import broken_rules, constrained_fields

Break = Callable[[Any], object]

ROOT_KEY = KeyPair(bytes.fromhex("cab0037a06b1ca1dc9bfbe5cf1f6b4f6485c78a8f32564d95afe3c5f5be97e46"))
TESTER = PublicKey(bytes.fromhex("954347519e8e22e085d874f6907e8e5dba3cce5537dbe105c3d44d8e92a2f23e"))
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
GRANT = ConformanceGrant(
    node_id=ROOT_KEY.public_key, testers=(TESTER,), issue_time=NOON, expire_time=NOON + timedelta(minutes=30)
)

BROKEN_GRANT: dict[str, Break] = {
    "node_id": lambda grant: setattr(grant, "node_id", b"x" * 31),
    "testers": lambda grant: grant.ClearField("testers"),
    "testers many": lambda grant: grant.testers.extend([TESTER] * 64),
    "testers short": lambda grant: grant.testers.append(TESTER[1:]),
    "issue_time": lambda grant: grant.ClearField("issue_time"),
    "expire_time": lambda grant: grant.ClearField("expire_time"),
    "expire_time early": lambda grant: grant.expire_time.CopyFrom(grant.issue_time),
    "expire_time late": lambda grant: setattr(grant.expire_time, "seconds", grant.issue_time.seconds + 3601),
}

TOKEN, WAIT, OPEN, FAIL, DOCUMENT, DIGEST, PROGRESS, CONCLUSION = range(8)
BROKEN_SCRIPT: dict[str, Break] = {
    "grant": lambda script: script.ClearField("grant"),
    "steps": lambda script: [script.steps.add(open=bytes(16)) for _ in range(250)],
    "steps.step": lambda script: script.steps.add(),
    "steps.token.data": lambda script: setattr(script.steps[TOKEN].token, "data", b""),
    "steps.token.data long": lambda script: setattr(script.steps[TOKEN].token, "data", bytes(65_537)),
    "steps.token.times": lambda script: setattr(script.steps[TOKEN].token, "times", -1),
    "steps.token.times many": lambda script: setattr(script.steps[TOKEN].token, "times", 100_001),
    "steps.wait": lambda script: setattr(script.steps[WAIT], "wait", bytes(15)),
    "steps.open": lambda script: setattr(script.steps[OPEN], "open", bytes(17)),
    "steps.fail": lambda script: setattr(script.steps[FAIL], "fail", "x" * 129),
    "steps.citation.origin": lambda script: script.steps[DIGEST].citation.ClearField("answer_digest"),
    "steps.citation.answer_digest": lambda script: setattr(script.steps[DIGEST].citation, "answer_digest", b"x"),
    "steps.citation.answer_span": lambda script: setattr(script.steps[DOCUMENT].citation.answer_span, "start_byte", 99),
    "steps.citation.document.uri": lambda script: setattr(script.steps[DOCUMENT].citation.document, "uri", ""),
    "steps.citation.document.title": lambda script: setattr(
        script.steps[DOCUMENT].citation.document, "title", "x" * 513
    ),
    "steps.citation.document.digest": lambda script: setattr(script.steps[DOCUMENT].citation.document, "digest", b""),
    "steps.citation.document.place": lambda script: setattr(
        script.steps[DOCUMENT].citation.document.place, "end_byte", -1
    ),
    "steps.citation.document.retrieval_time": lambda script: script.steps[DOCUMENT].citation.document.ClearField(
        "retrieval_time"
    ),
    "steps.citation.document.quote": lambda script: setattr(
        script.steps[DOCUMENT].citation.document, "quote", "x" * 16_385
    ),
    "steps.progress.message": lambda script: setattr(script.steps[PROGRESS].progress, "message", ""),
    "steps.progress.done_milli": lambda script: setattr(script.steps[PROGRESS].progress, "done_milli", 1001),
    "steps.conclusion.outcome": lambda script: setattr(script.steps[CONCLUSION].conclusion, "outcome", 0),
    "steps.conclusion.outcome later": lambda script: setattr(script.steps[CONCLUSION].conclusion, "outcome", 99),
    "steps.conclusion.stop_reason": lambda script: setattr(script.steps[CONCLUSION].conclusion, "stop_reason", 0),
    "steps.conclusion.stop_reason later": lambda script: setattr(
        script.steps[CONCLUSION].conclusion, "stop_reason", 99
    ),
    "steps.conclusion.detail": lambda script: setattr(script.steps[CONCLUSION].conclusion, "detail", "x" * 1025),
    "steps.conclusion.input_tokens": lambda script: setattr(script.steps[CONCLUSION].conclusion, "input_tokens", -1),
    "steps.conclusion.confidence.p_correct": lambda script: setattr(
        script.steps[CONCLUSION].conclusion.confidence, "p_correct", 1.5
    ),
    "steps.conclusion.confidence.method": lambda script: setattr(
        script.steps[CONCLUSION].conclusion.confidence, "method", ""
    ),
    "steps.conclusion.confidence.sample_count": lambda script: setattr(
        script.steps[CONCLUSION].conclusion.confidence, "sample_count", -1
    ),
    "steps.conclusion.confidence.calibration_digest": lambda script: setattr(
        script.steps[CONCLUSION].conclusion.confidence, "calibration_digest", b"x"
    ),
    "steps.conclusion.confidence": lambda script: setattr(script.steps[CONCLUSION].conclusion.confidence, "lower", 0.5),
    "steps.conclusion.intake.prompt_tokens_received": lambda script: setattr(
        script.steps[CONCLUSION].conclusion.intake, "prompt_tokens_received", 8
    ),
    "steps.conclusion.intake.dropped_side": lambda script: setattr(
        script.steps[CONCLUSION].conclusion.intake, "dropped_side", 99
    ),
    "steps.conclusion.intake.retrieval_strategy": lambda script: setattr(
        script.steps[CONCLUSION].conclusion.intake, "retrieval_strategy", "x" * 129
    ),
    "steps.conclusion.intake.chunks.document": lambda script: script.steps[CONCLUSION].conclusion.intake.chunks.add(),
}

CHECKED_ELSEWHERE = {
    "payload_type": "the envelope of the grant is checked with the grant, by its signature",
    "payload": "as above",
    "public_key": "as above",
    "signature": "as above",
    "lower": "held by the interval",
    "upper": "held by the interval",
    "start_byte": "held by the span",
    "end_byte": "held by the span",
    "prompt_tokens_used": "held by the sum",
    "prompt_tokens_dropped": "held by the sum",
    "chunks": "256 of them: held by the rules of claims",
}


def full_script(chain: Chain) -> ConformanceScript:
    document, digest = chain.answer.value.citations
    return ConformanceScript(
        grant=seal(GRANT, signer=ROOT_KEY).envelope,
        steps=(
            ScriptedToken(data=b"\xc2", times=3),
            WaitForGate(gate=b"w" * 16),
            OpenGate(gate=b"o" * 16),
            ScriptedFailure(reason="why"),
            document,
            digest,
            Progress(message="halfway", done_milli=500),
            ScriptedConclusion(
                detail="so",
                confidence=Confidence(method="script", p_correct=0.5),
                intake=Intake(prompt_tokens_received=7, prompt_tokens_used=7, dropped_side=DroppedSide.START),
                input_tokens=7,
            ),
        ),
    )


def test_the_example_of_the_specification_is_made_to_the_byte() -> None:
    grant = seal(GRANT, signer=ROOT_KEY).envelope
    steps = (
        ScriptedToken(data=b"30 \xc2"),
        WaitForGate(gate=_gate_of_the_example()),
        ScriptedToken(data=b"\xb0C"),
    )
    blocks = _blocks_of_the_example()
    assert to_bytes(grant) in blocks
    assert encode_script(ConformanceScript(grant=grant, steps=steps)) in blocks


def test_a_script_comes_back_as_it_was(chain: Chain) -> None:
    script = full_script(chain)
    check_script(script)
    assert decode_script(encode_script(script)) == script
    assert open_envelope(script.grant, ConformanceGrant).value == GRANT
    assert broken_rules(_message(script)) == []


@pytest.mark.parametrize("broken", BROKEN_GRANT)
def test_what_a_constraint_refuses_of_a_grant_the_value_type_refuses(broken: str) -> None:
    message = convert.to_message(GRANT)
    BROKEN_GRANT[broken](message)
    assert broken_rules(message), "the declared constraints let it pass"
    with pytest.raises(FieldInvalidError) as caught:
        check_grant(convert.parse(message.SerializeToString(), ConformanceGrant))
    assert _paths(caught.value) == {broken.split(maxsplit=1)[0]}


@pytest.mark.parametrize("broken", BROKEN_SCRIPT)
def test_what_a_constraint_refuses_of_a_script_the_value_type_refuses(chain: Chain, broken: str) -> None:
    message = _message(full_script(chain))
    BROKEN_SCRIPT[broken](message)
    assert broken_rules(message), "the declared constraints let it pass"
    with pytest.raises(FieldInvalidError) as caught:
        check_script(decode_script(message.SerializeToString()))
    assert _paths(caught.value) == {broken.split(maxsplit=1)[0]}


def test_every_declared_constraint_is_broken_above() -> None:
    for name, broken in (("ConformanceGrant", BROKEN_GRANT), ("ConformanceScript", BROKEN_SCRIPT)):
        named = {path.split(maxsplit=1)[0].rpartition(".")[2] for path in broken}
        assert constrained_fields(name) - named - CHECKED_ELSEWHERE.keys() == set()


def _message(script: ConformanceScript) -> conformance_pb2.ConformanceScript:
    return conformance_pb2.ConformanceScript.FromString(encode_script(script))


def _paths(refusal: FieldInvalidError) -> set[str]:
    assert isinstance(refusal.detail, FieldViolations)
    return {re.sub(r"\[\d+\]", "", violation.field) for violation in refusal.detail.violations}


def _page() -> str:
    return (ROOT / "docs" / "spec" / "7-conformance.md").read_text(encoding="utf-8")


def _gate_of_the_example() -> bytes:
    found = re.search(r"^    wait: ([0-9a-f]{32})$", _page(), re.MULTILINE)
    assert found is not None
    return bytes.fromhex(found[1])


def _blocks_of_the_example() -> list[bytes]:
    blocks = re.findall(r"```text\n((?:[0-9a-f]+\n)+)```", _page())
    return [bytes.fromhex(block.replace("\n", "")) for block in blocks]
