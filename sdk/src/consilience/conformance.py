r"""Conformance: answers that a tester writes, and the grant without which nobody may (spec chapter 7).

A script is the question to the skill `conformance.script`. Its steps are what a language model cannot be told to do: to
break a character in two, to stand still in the middle of a sentence, to fail. A bank that the tester plays moves money
as no bank would.

>>> step = ScriptedToken(data=b"30 \xc2\xb0C")
>>> step.repetitions
1
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience.asks import (
    MAX_DETAIL_CHARACTERS,
    Citation,
    Confidence,
    DroppedSide,
    Intake,
    Outcome,
    Progress,
    StopReason,
    claim_violations,
    refuse_violations,
)
from consilience.calls import MAX_CLOCK_SKEW
from consilience.envelopes import Envelope
from consilience.errors import FieldViolation, GrantInvalidError
from consilience.identity import PUBLIC_KEY_BYTES
from consilience.payments import TransferStatus
from consilience.units import Digest, NamedNumber, PublicKey

SCRIPT_SKILL_ID = "conformance.script"
SCRIPT_MODEL_ID = "conformance/script"
SCRIPT_MEDIA_TYPE = "application/vnd.consilience.script"
BANK_RAIL_ID = "conformance.bank"

MAX_GRANT_LIFETIME = timedelta(hours=1)
MAX_TESTERS = 64
MAX_STEPS = 256
MAX_TOKEN_BYTES = 65_536
MAX_REPETITIONS = 100_000
MAX_FAILURE_CHARACTERS = 128
GATE_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformanceGrant:
    """Allows a tester to ask the script skill of one node for a while; the node's root key signs it.

    Attributes:
        node_id: The root key, 32 bytes.
        testers: The keys of the tester, 32 bytes each.
        issue_time, expire_time: Aware UTC, at most an hour apart.
    """

    node_id: PublicKey
    testers: tuple[PublicKey, ...]
    issue_time: datetime
    expire_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedToken:
    """Produces bytes of text as one token of a model would, `times` times; zero: once."""

    data: bytes
    times: int = 0

    @property
    def repetitions(self) -> int:
        """How often the bytes are produced."""
        return self.times or 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitForGate:
    """Waits until the gate of this name, 16 bytes, is open."""

    gate: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenGate:
    """Opens the gate of this name, 16 bytes, for whoever waits there now or later."""

    gate: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedFailure:
    """Fails as an engine would, for a reason that the asker is not told."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedConclusion:
    """Ends the answer; the output tokens are counted and not said."""

    outcome: Outcome = Outcome.ANSWERED
    stop_reason: StopReason = StopReason.COMPLETE
    detail: str = ""
    confidence: Confidence | None = None
    intake: Intake | None = None
    input_tokens: int = 0


ScriptStep = ScriptedToken | WaitForGate | OpenGate | ScriptedFailure | Citation | Progress | ScriptedConclusion
"""One thing that a scripted answer does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConformanceScript:
    """What a scripted answer is to be.

    Attributes:
        grant: The envelope of a `ConformanceGrant` as it came, not verified yet.
        steps: Are carried out one after the other; none: an answer without text.
    """

    grant: Envelope
    steps: tuple[ScriptStep, ...] = ()


class TransferDirection(NamedNumber):
    """Which way money goes at the bank."""

    UNKNOWN = -1
    DEPOSIT = 1
    PAYOUT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTransferRequest:
    """What a node has the bank do.

    Attributes:
        name: Of the transfer, 32 bytes: money moves once for a name.
        direction: Which way it goes.
        session_id: For whose sake.
        transfer_id: The id of the deposit or the withdrawal, 16 bytes.
        amount: In units of the asset.
        asset: Its id.
    """

    name: bytes
    direction: TransferDirection
    session_id: Digest
    transfer_id: bytes
    amount: int
    asset: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BankTransfer:
    """What the bank says of a transfer.

    Attributes:
        status: Whether the money has moved.
        amount: How much has, in units of the asset.
        reference: Of a deposit that has succeeded: 32 bytes.
    """

    status: TransferStatus
    amount: int = 0
    reference: bytes = b""


def check_script(script: ConformanceScript) -> None:
    """Checks the declared constraints of a script; those of its grant are checked with the grant.

    Raises:
        FieldInvalidError: With the violations found, by their paths in the script.
    """
    refuse_violations(_script_violations(script))


def check_grant(grant: ConformanceGrant) -> None:
    """Checks the declared constraints of a grant.

    Raises:
        FieldInvalidError: With the violations found, by their paths in the grant.
    """
    refuse_violations(_grant_violations(grant))


def require_granted(grant: ConformanceGrant, *, node_id: PublicKey, caller: PublicKey, now: datetime) -> None:
    """Checks that a grant, opened and sound, is for this node and caller, and holds now (SEC-GRANT-001).

    Args:
        grant: What the root key of some node signed.
        node_id: The node that is asked.
        caller: Who asks.
        now: The time of the node, aware UTC.

    Raises:
        GrantInvalidError: It is for another node or other testers, or not for now.
    """
    if grant.node_id != node_id:
        raise GrantInvalidError("the grant is for another node")
    if caller not in grant.testers:
        raise GrantInvalidError("the grant does not name the key that asks")
    # Differences, because a sum may lie beyond the last time that there is.
    if grant.issue_time - now > MAX_CLOCK_SKEW:
        raise GrantInvalidError("the grant does not hold yet by the node's clock")
    if now > grant.expire_time:
        raise GrantInvalidError("the grant has expired by the node's clock")


def _grant_violations(grant: ConformanceGrant) -> Iterator[FieldViolation]:
    if len(grant.node_id) != PUBLIC_KEY_BYTES:
        yield FieldViolation(field="node_id", description=f"must be {PUBLIC_KEY_BYTES} bytes")
    if not 1 <= len(grant.testers) <= MAX_TESTERS:
        yield FieldViolation(field="testers", description=f"must be 1 to {MAX_TESTERS}")
    for index, tester in enumerate(grant.testers):
        if len(tester) != PUBLIC_KEY_BYTES:
            yield FieldViolation(field=f"testers[{index}]", description=f"must be {PUBLIC_KEY_BYTES} bytes")
    if not timedelta(0) < grant.expire_time - grant.issue_time <= MAX_GRANT_LIFETIME:
        yield FieldViolation(field="expire_time", description="must lie after issue_time and at most an hour later")


def _script_violations(script: ConformanceScript) -> Iterator[FieldViolation]:
    if len(script.steps) > MAX_STEPS:
        yield FieldViolation(field="steps", description=f"must be at most {MAX_STEPS}")
    for index, step in enumerate(script.steps[:MAX_STEPS]):
        for path, description in _step_violations(step):
            yield FieldViolation(field=f"steps[{index}].{path}", description=description)


def _step_violations(step: ScriptStep) -> Iterator[tuple[str, str]]:
    match step:
        case ScriptedToken():
            yield from _token_violations(step)
        case WaitForGate(gate=gate) if len(gate) != GATE_BYTES:
            yield "wait", f"must be {GATE_BYTES} bytes"
        case OpenGate(gate=gate) if len(gate) != GATE_BYTES:
            yield "open", f"must be {GATE_BYTES} bytes"
        case ScriptedFailure(reason=reason) if len(reason) > MAX_FAILURE_CHARACTERS:
            yield "fail", f"must have at most {MAX_FAILURE_CHARACTERS} characters"
        case ScriptedConclusion():
            for path, description in _conclusion_violations(step):
                yield f"conclusion.{path}", description
        case Citation() | Progress():
            yield from claim_violations(step)


def _token_violations(token: ScriptedToken) -> Iterator[tuple[str, str]]:
    if not 1 <= len(token.data) <= MAX_TOKEN_BYTES:
        yield "token.data", f"must have 1 to {MAX_TOKEN_BYTES} bytes"
    if not 0 <= token.times <= MAX_REPETITIONS:
        yield "token.times", f"must be 0 to {MAX_REPETITIONS}"


def _conclusion_violations(conclusion: ScriptedConclusion) -> Iterator[tuple[str, str]]:
    if conclusion.outcome is Outcome.UNKNOWN:
        yield "outcome", "must be a value of this version, not unspecified"
    if conclusion.stop_reason is StopReason.UNKNOWN:
        yield "stop_reason", "must be a value of this version, not unspecified"
    if len(conclusion.detail) > MAX_DETAIL_CHARACTERS:
        yield "detail", f"must have at most {MAX_DETAIL_CHARACTERS} characters"
    if conclusion.confidence is not None:
        yield from claim_violations(conclusion.confidence)
    if conclusion.intake is not None:
        if conclusion.intake.dropped_side is DroppedSide.UNKNOWN:
            yield "intake.dropped_side", "must be a value of this version"
        yield from claim_violations(conclusion.intake)
    if conclusion.input_tokens < 0:
        yield "input_tokens", "must not be negative"
