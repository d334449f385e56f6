"""Checks of the scripted skill itself (spec chapter 7): its steps, its gates, and the grant that opens it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from consilience.v1 import ask_pb2, conformance_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.rules.endings import snapshot_of, text_is
from consilience_conformance.rules.logs import complete, read_log
from consilience_conformance.stage import SCRIPT_MEDIA_TYPE, Stage, text_seen, token, wait
from consilience_conformance.steps import cites, concludes, opens, reports
from consilience_conformance.transcripts import Transcript
from consilience_conformance.twins import ask_twin
from consilience_conformance.verdicts import Finding

GATES = 900
"""Opened before the first of them is passed. A node remembers 1024; the rest is for checks that run meanwhile."""

MOST_GATES_PER_ASK = 225

BEFORE_THE_GATE = "one two three "

STEPS = ("accepted", "text_delta", "citation", "progress", "text_delta", "citation", "text_delta", "final")
"""What the script of the check makes, deltas side by side as one."""


async def _in_order(stage: Stage) -> None:
    """Looks at the log while the work stands at a gate: nothing from behind the gate stands in it."""
    gate = stage.gate()
    ask = stage.ask(
        token("one "),
        token("two "),
        cites("first"),
        reports("half"),
        token("three "),
        wait(gate),
        cites("second"),
        wait(gate),
        token("four"),
        concludes(ask_pb2.OUTCOME_ABSTAINED, ask_pb2.STOP_REASON_LOW_CONFIDENCE, intake=ask_pb2.Intake()),
        token("never"),
    )
    reader = stage.open_ask("ask", ask)
    await reader.until(text_seen("three "), budget=stage.budget)
    await stage.get("meanwhile", ask)
    await stage.open_gate("open", gate)
    await reader.until(budget=stage.budget)


def _judge_in_order(seen: Transcript) -> Iterator[Finding]:
    meanwhile = snapshot_of(seen["meanwhile"])
    if meanwhile is not None and meanwhile.text != BEFORE_THE_GATE and BEFORE_THE_GATE.startswith(meanwhile.text):
        # The reader has waited for this text in vain, and the rest of what it saw follows from that.
        yield Finding(
            requirement="SEC-SCRIPT-003",
            message="the text of earlier steps does not stand in the log",
            expected=repr(BEFORE_THE_GATE),
            got=repr(meanwhile.text),
            exchange="meanwhile",
        )
        return
    log = read_log(seen["ask"])
    yield from complete(seen["ask"], requirement="SEC-SCRIPT-001")
    yield from text_is(log, "one two three four", requirement="SEC-SCRIPT-001", name="ask")
    kinds = log.kinds()
    kinds = [kind for kind, before in zip(kinds, ["", *kinds], strict=False) if kind != "text_delta" or before != kind]
    if kinds != list(STEPS):
        message = "the events are not in the order of the steps"
        yield _finding(message, expected=", ".join(STEPS), got=", ".join(kinds), name="ask")
    if meanwhile is None or meanwhile.HasField("final") or meanwhile.text != BEFORE_THE_GATE:
        yield _finding(
            "the log does not stand at the gate",
            expected=repr(BEFORE_THE_GATE),
            got=repr(meanwhile.text) if meanwhile else "no answer",
            name="meanwhile",
        )


def _finding(message: str, *, expected: str, got: str, name: str) -> Finding:
    return Finding(requirement="SEC-SCRIPT-001", message=message, expected=expected, got=got, exchange=name)


def _gates_per_ask(stage: Stage) -> int:
    """Returns how many gates a script can open within what the card lets an ask hold."""
    one, two = (_script_bytes(stage.ask(*[opens(stage.gate())] * count)) for count in (1, 2))
    room = stage.limit("max_input_bytes") - one
    return max(1, min(MOST_GATES_PER_ASK, 1 + room // (two - one)))


async def _many_gates(stage: Stage) -> None:
    gates = [stage.gate() for _ in range(GATES)]
    at_once = _gates_per_ask(stage)
    for start in range(0, GATES, at_once):
        await stage.send(f"open-{start}", stage.ask(*map(opens, gates[start : start + at_once])))
    ask = stage.ask(wait(gates[0]), wait(gates[-1]), wait(gates[0]), token("passed"))
    await stage.send("pass", ask)


def _judge_many_gates(seen: Transcript) -> Iterator[Finding]:
    yield from complete(seen["pass"], requirement="SEC-SCRIPT-002")
    yield from text_is(read_log(seen["pass"]), "passed", requirement="SEC-SCRIPT-002", name="pass")


def _script_bytes(ask: ask_pb2.Ask) -> int:
    return len(ask.turns[-1].parts[0].blob.data)


def _script_of(ask: ask_pb2.Ask) -> conformance_pb2.ConformanceScript:
    return conformance_pb2.ConformanceScript.FromString(ask.turns[-1].parts[0].blob.data)


def _asking(
    stage: Stage, good: ask_pb2.Ask, script: conformance_pb2.ConformanceScript | bytes, *, copies: int = 1
) -> SignedEnvelope:
    """Returns the good ask with another script."""
    bad = ask_pb2.Ask()
    bad.CopyFrom(good)
    data = script if isinstance(script, bytes) else script.SerializeToString(deterministic=True)
    part = ask_pb2.Part(blob=ask_pb2.Blob(media_type=SCRIPT_MEDIA_TYPE, data=data))
    del bad.turns[-1].parts[:]
    bad.turns[-1].parts.extend([part] * copies)
    return stage.seal(bad)


def _granted(
    change: Callable[[Stage, SignedEnvelope], SignedEnvelope],
) -> Callable[[Stage, ask_pb2.Ask], SignedEnvelope]:
    """Returns the defect of an ask whose grant is another one."""

    def defect(stage: Stage, good: ask_pb2.Ask) -> SignedEnvelope:
        script = _script_of(good)
        script.grant.CopyFrom(change(stage, script.grant))
        return _asking(stage, good, script)

    return defect


def _tampered(_: Stage, grant: SignedEnvelope) -> SignedEnvelope:
    """The operator signed half an hour; the tester made another end of it."""
    told = conformance_pb2.ConformanceGrant.FromString(grant.payload)
    told.expire_time.seconds -= 1
    return _with_payload(grant, told.SerializeToString(deterministic=True))


def _with_payload(grant: SignedEnvelope, payload: bytes) -> SignedEnvelope:
    changed = SignedEnvelope()
    changed.CopyFrom(grant)
    changed.payload = payload
    return changed


def _unsigned(_: Stage, grant: SignedEnvelope) -> SignedEnvelope:
    changed = SignedEnvelope()
    changed.CopyFrom(grant)
    changed.signature = b""
    return changed


def _signed_by_the_tester(stage: Stage, grant: SignedEnvelope) -> SignedEnvelope:
    """Names the node, and is signed by whoever wants to be let in."""
    return stage.seal(conformance_pb2.ConformanceGrant.FromString(grant.payload))


def _of_another_node(stage: Stage, grant: SignedEnvelope) -> SignedEnvelope:
    """A good grant, of a node that the tester runs."""
    other = Caller.new()
    told = conformance_pb2.ConformanceGrant.FromString(grant.payload)
    told.node_id = other.key
    return stage.seal(told, caller=other)


def _of_another_type(stage: Stage, _: SignedEnvelope) -> SignedEnvelope:
    """Something that the node has signed as well: its card."""
    return stage.target.envelope


def _by_a_stranger(stage: Stage, good: ask_pb2.Ask) -> SignedEnvelope:
    """The grant is good; whoever shows it is not named in it."""
    stranger = stage.stranger()
    bad = ask_pb2.Ask()
    bad.CopyFrom(good)
    bad.header.caller = stranger.key
    return stage.seal(bad, caller=stranger)


def _no_grant(stage: Stage, good: ask_pb2.Ask) -> SignedEnvelope:
    script = _script_of(good)
    script.ClearField("grant")
    return _asking(stage, good, script)


def _undecodable(stage: Stage, good: ask_pb2.Ask) -> SignedEnvelope:
    return _asking(stage, good, b"\xff\xff\xff")


def _two_parts(stage: Stage, good: ask_pb2.Ask) -> SignedEnvelope:
    return _asking(stage, good, good.turns[-1].parts[0].blob.data, copies=2)


def _short_gate(stage: Stage, good: ask_pb2.Ask) -> SignedEnvelope:
    script = _script_of(good)
    script.steps.append(wait(b"15 bytes, no 16"[:15]))
    return _asking(stage, good, script)


def _grant_twin(
    name: str,
    title: str,
    defect: Callable[[Stage, ask_pb2.Ask], SignedEnvelope],
    *,
    reason: str = "GRANT_INVALID",
    same_id: bool = True,
) -> Check:
    return ask_twin(
        name,
        title=title,
        requirement="SEC-GRANT-001",
        reason=reason,
        defect=defect,
        same_id=same_id,
        needs=Needs.SCRIPT,
        profile="conformance",
    )


CHECKS = (
    Check(
        name="steps-are-carried-out-in-their-order",
        title="A script becomes text, citations and progress in its order, stands at its gates and ends where it says.",
        requirements=("SEC-SCRIPT-001", "SEC-SCRIPT-003"),
        drive=_in_order,
        judge=_judge_in_order,
        needs=Needs.SCRIPT,
        profile="conformance",
    ),
    Check(
        name="open-gates-are-remembered",
        title="A gate that was opened stays open, however often it is passed, and many others with it.",
        requirements=("SEC-SCRIPT-002",),
        drive=_many_gates,
        judge=_judge_many_gates,
        needs=Needs.SCRIPT,
        profile="conformance",
    ),
    _grant_twin(
        "script-without-a-grant-is-refused", "A script without a grant is refused.", _no_grant, reason="FIELD_INVALID"
    ),
    _grant_twin(
        "a-tampered-grant-is-refused",
        "A grant that was changed after the operator signed it is refused.",
        _granted(_tampered),
    ),
    _grant_twin("an-unsigned-grant-is-refused", "A grant without a signature is refused.", _granted(_unsigned)),
    _grant_twin(
        "a-grant-of-the-tester-is-refused",
        "A grant that the tester signed for himself is refused.",
        _granted(_signed_by_the_tester),
    ),
    _grant_twin(
        "a-grant-of-another-node-is-refused", "A grant of another node is refused.", _granted(_of_another_node)
    ),
    _grant_twin(
        "a-card-is-no-grant",
        "What the node has signed for another purpose is refused as a grant.",
        _granted(_of_another_type),
    ),
    _grant_twin(
        "a-stranger-with-a-grant-is-refused",
        "A grant is refused when it comes from a key that it does not name.",
        _by_a_stranger,
        same_id=False,
    ),
    _grant_twin(
        "what-is-no-script-is-refused",
        "A question that is no encoded script is refused.",
        _undecodable,
        reason="FIELD_INVALID",
    ),
    _grant_twin(
        "a-script-of-two-parts-is-refused", "A script in two parts is refused.", _two_parts, reason="FIELD_INVALID"
    ),
    _grant_twin(
        "a-script-that-breaks-a-rule-is-refused",
        "A script with a step that breaks a rule is refused.",
        _short_gate,
        reason="FIELD_INVALID",
    ),
)
