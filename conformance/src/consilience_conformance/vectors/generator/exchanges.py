"""Makes exchanges.json: card, ask and log of one answer, to be checked offline as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from consilience.v1 import ask_pb2
from consilience.v1.ask_pb2 import Answer, AnswerEvent
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.envelopes import envelope_digest
from consilience_conformance.vectors.generator import messages
from consilience_conformance.vectors.generator.actors import NODE, OTHER_NODE, SIGNING_KEY, STRANGER, Actor, timestamp
from consilience_conformance.vectors.generator.layout import BugType, Case, Group, Note, Refused, VectorFile

_NOTES = {
    "Plain": Note(bug_type=BugType.BASIC, description="An exchange in order."),
    "Key": Note(bug_type=BugType.AUTH_BYPASS, description="The key that signed the answer is not the node's to use."),
    "Chain": Note(bug_type=BugType.AUTH_BYPASS, description="The answer belongs to another ask, card or node."),
    "Text": Note(bug_type=BugType.DATA_LOSS, description="The text that arrived is not the one that was signed."),
    "Count": Note(bug_type=BugType.MISSING_CHECK, description="Two numbers that have to be equal are not."),
    "Sources": Note(bug_type=BugType.MISSING_CHECK, description="The citations of the log and the answer differ."),
    "Gap": Note(bug_type=BugType.DATA_LOSS, description="Part of the text is lost, and the log says so."),
}


def make() -> VectorFile:
    """Returns the file."""
    card, ask = messages.sealed_card(), messages.sealed_ask()
    return VectorFile(
        name="exchanges",
        subject="One exchange after the fact: card, ask, log and answer belong together.",
        spec="docs/spec/2-asks.md",
        notes=_NOTES,
        groups=[
            Group(
                type="ExchangeCheck",
                comment="One card and one ask, and what came of it",
                shared={"card": _hex(card), "ask": _hex(ask)},
                cases=[*_valid(), *_wrong_keys(), *_wrong_chain(), *_wrong_contents()],
            )
        ],
    )


def _hex(message: SignedEnvelope | AnswerEvent) -> str:
    return message.SerializeToString(deterministic=True).hex()


def log() -> list[AnswerEvent]:
    """Returns the log of the exchange, up to its Final."""
    return messages.log_before_final(ask_digest=envelope_digest(messages.sealed_ask()))


def ended(
    events: Sequence[AnswerEvent],
    *,
    signed_log: Sequence[AnswerEvent] | None = None,
    signer: Actor = SIGNING_KEY,
    change: Callable[[Answer], object] = lambda _: None,
) -> list[AnswerEvent]:
    """Returns a log with its Final.

    Args:
        events: The log as it arrives.
        signed_log: The log that the answer speaks of, where it is another.
        signer: Who signs the answer.
        change: What to do to the answer before it is signed.
    """
    answer = messages.answer(
        card_digest=envelope_digest(messages.sealed_card()),
        ask_digest=envelope_digest(messages.sealed_ask()),
        log=signed_log or events,
    )
    change(answer)
    return [*events, messages.final(envelopes.seal(answer, seed=signer.seed), sequence=events[-1].sequence + 1)]


def _case(comment: str, flag: str, events: Sequence[AnswerEvent], requirement: str = "", reason: str = "") -> Case:
    refused = Refused(requirement=requirement, reason=reason) if requirement else None
    return Case(comment=comment, flags=[flag], inputs={"events": [*map(_hex, events)]}, refused=refused)


def _valid() -> Iterator[Case]:
    events = log()
    yield _case("as it was produced", "Plain", ended(events))
    merged = [events[0], messages.merged(events[1:6]), *events[6:]]
    yield _case("with its deltas merged", "Plain", ended(merged, signed_log=events))
    gap = AnswerEvent(sequence=4, gap=ask_pb2.Gap(first_sequence=3))
    yield _case("with a Gap", "Gap", ended([*events[:2], gap, *events[4:]], signed_log=events))


def _setting(field: str, value: bytes) -> Callable[[Answer], object]:
    return lambda answer: setattr(answer, field, value)


def _finished_at(time: datetime) -> Callable[[Answer], object]:
    return lambda answer: answer.finish_time.CopyFrom(timestamp(time))


def _wrong_keys() -> Iterator[Case]:
    for name, actor in (("a stranger", STRANGER), ("the root key, which the card does not list", NODE)):
        events = ended(log(), signer=actor, change=_setting("signing_key", actor.public_key))
        yield _case(f"signed by {name}", "Key", events, "ASK-ANS-001")
    elsewhere = ended(log(), signer=STRANGER)
    yield _case("signed by another key than it names", "Key", elsewhere, "SIG-ENV-005", "SIGNER_WRONG")
    expiry = messages.CARD_ISSUE_TIME + messages.KEY_LIFETIME
    yield _case("finished as its key expired", "Key", ended(log(), change=_finished_at(expiry)))
    late = ended(log(), change=_finished_at(expiry + timedelta(microseconds=1)))
    yield _case("finished after its key expired", "Key", late, "ASK-ANS-001")


def _wrong_chain() -> Iterator[Case]:
    other, signature = b"another", messages.sealed_ask().signature
    for comment, field, value in (
        ("names another ask", "ask_digest", hashlib.sha256(other).digest()),
        ("names the ask by the hash of its signature", "ask_digest", hashlib.sha256(signature).digest()),
        ("names another card", "card_digest", hashlib.sha256(other).digest()),
        ("names another node", "node_id", OTHER_NODE.public_key),
    ):
        yield _case(comment, "Chain", ended(log(), change=_setting(field, value)), "ASK-ANS-002")


def _wrong_contents() -> Iterator[Case]:
    events = log()
    changed = [*map(_copy, events)]
    changed[2].text_delta.text = changed[2].text_delta.text.upper()
    yield _case("a delta was changed", "Text", ended(changed, signed_log=events), "STRM-TXT-002")
    swapped = [*map(_copy, events)]
    swapped[1].text_delta.text, swapped[2].text_delta.text = events[2].text_delta.text, events[1].text_delta.text
    yield _case("two deltas exchanged their text", "Text", ended(swapped, signed_log=events), "STRM-TXT-002")

    def count(answer: Answer) -> None:
        answer.usage.output_bytes += 1

    yield _case("the usage counts another byte", "Count", ended(events, change=count), "ASK-ANS-003")

    def end(answer: Answer) -> None:
        answer.final_sequence += 1

    yield _case("the answer ends another log", "Count", ended(events, change=end), "STRM-LOG-003")
    no_sources = ended(events, change=lambda answer: answer.ClearField("citations"))
    yield _case("the answer leaves a source out", "Sources", no_sources, "ASK-ANS-004")
    more = ended(events, change=lambda answer: answer.citations.append(messages.citation()))
    yield _case("the answer adds a source", "Sources", more, "ASK-ANS-004")


def _copy(event: AnswerEvent) -> AnswerEvent:
    copy = AnswerEvent()
    copy.CopyFrom(event)
    return copy
