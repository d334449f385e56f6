"""Peers: what a node sends is held to the specification, and every breach carries its requirement id."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from consilience.asks import Answer, AnswerSnapshot, Outcome
from consilience.envelopes import Signed
from consilience.errors import (
    EnvelopeMalformedError,
    FieldInvalidError,
    PayloadTypeWrongError,
    ProtocolError,
    RefusedError,
    SignatureInvalidError,
    SignatureMissingError,
    SignerWrongError,
)
from consilience.nodes import NodeCard, Skill

REQUIREMENTS: dict[type[RefusedError], str] = {
    PayloadTypeWrongError: "SIG-ENV-004",
    EnvelopeMalformedError: "ERR-FLD-001",
    SignatureMissingError: "SIG-ENV-003",
    SignatureInvalidError: "SIG-ENV-001",
    SignerWrongError: "SIG-ENV-005",
    FieldInvalidError: "ERR-FLD-001",
}
"""The requirement that a peer breaks by sending what this side would refuse for the same reason."""


def breach(error: RefusedError) -> ProtocolError:
    """Returns what it means that an object of the peer's would have to be refused."""
    requirement = next(rule for kind, rule in REQUIREMENTS.items() if isinstance(error, kind))
    return ProtocolError(f"the node sent what cannot be accepted: {error}", requirement=requirement)


@contextmanager
def held_to_protocol() -> Iterator[None]:
    """Reads what a peer sent; what would have to be refused is a breach.

    Raises:
        ProtocolError: From the refusal.
    """
    try:
        yield
    except RefusedError as error:
        raise breach(error) from error


def check_author(answer: Signed[Answer], *, card: NodeCard) -> None:
    """Checks that an answer is of a node, and signed by a key of its card (ASK-ANS-001).

    Raises:
        ProtocolError: It is not.
    """
    value = answer.value
    if value.node_id != card.node_id:
        raise ProtocolError("the answer is of another node", requirement="ASK-ANS-002")
    if not card.may_sign(value.signing_key, at=value.finish_time):
        raise ProtocolError("the answer is signed by a key that the card does not list", requirement="ASK-ANS-001")


def check_promises(answer: Answer, *, skill: Skill) -> None:
    """Checks that an answer carries what the card says that the skill gives (ASK-ANS-005).

    Raises:
        ProtocolError: Something is missing.
    """
    if missing := broken_promises(answer, skill=skill):
        what = " and ".join(missing)
        raise ProtocolError(f"the card promises {what}, and the answer has none", requirement="ASK-ANS-005")


def broken_promises(answer: Answer, *, skill: Skill) -> list[str]:
    """Returns what a skill gives and an answer of it does not carry."""
    answered = answer.outcome is Outcome.ANSWERED
    finished = answer.outcome not in (Outcome.CANCELLED, Outcome.FAILED)
    promises = (
        ("citations", skill.gives_citations and answered, answer.citations),
        ("confidence", skill.gives_confidence and answered, answer.confidence),
        ("intake", skill.gives_intake and finished, answer.intake),
    )
    return [name for name, promised, kept in promises if promised and not kept]


def check_snapshot(snapshot: AnswerSnapshot, *, card: NodeCard) -> None:
    """Checks what there is of an answer, where the node has signed how it ended.

    Raises:
        ProtocolError: The answer is not of this node, or is not about this text.
    """
    if snapshot.final is None:
        return
    answer = snapshot.final.answer
    check_author(answer, card=card)
    if answer.value.final_sequence != snapshot.last_sequence:
        raise ProtocolError("the answer ends another log", requirement="STRM-LOG-003")
    if answer.value.transcript_digest != hashlib.sha256(snapshot.text.encode()).digest():
        raise ProtocolError(
            "the text is not the text that was signed; if parts of it are lost, resuming the answer tells which",
            requirement="STRM-TXT-002",
        )
