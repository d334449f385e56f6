"""Rebuttals: beside a review stands the last word of the node that it is about, and of nobody else (section 4.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from consilience.v1 import registry_pb2
from consilience_conformance import envelopes
from consilience_conformance.callers import Caller
from consilience_conformance.client_side.checks import REGISTRY, ClientCheck
from consilience_conformance.client_side.forgeries import of_other_bytes
from consilience_conformance.client_side.readings import READ, STEPS, read_rightly, rebuttals
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.client_side.subjects import HOUR, Subject
from consilience_conformance.records.made_up import MadeUpNode
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_FIRST, _LAST = "It is as it was answered.", "We have looked twice, and it is."

Rebut = Callable[[Subject, registry_pb2.Record], tuple[registry_pb2.Record, ...]]


def _beside(name: str, *, title: str, requirement: str, rebut: Rebut, shown: str) -> ClientCheck:
    """Returns the check of what stands beside a review.

    Args:
        name: Of the check.
        title: What a client that passes does.
        requirement: What is broken otherwise.
        rebut: Makes what each of two registries serves besides the review.
        shown: The words of the rebuttal that stands beside it; empty: none does.
    """

    async def drive(stage: ClientStage) -> None:
        subject, registries = Subject(), [await stage.registry(), await stage.registry()]
        await stage.open(registries=registries)
        review = subject.review()
        stage.note("review", envelopes.envelope_digest(review.object).hex())
        for step, served in zip(STEPS, ((), rebut(subject, review), ()), strict=True):
            for number, registry in enumerate(registries):
                registry.records = [*served[number : number + 1], review]
            await stage.about(step, subject.node.node_id, right=[review.object])

    def judge(seen: Transcript) -> Iterator[Finding]:
        for step in STEPS:
            yield from read_rightly(seen, step, requirement=requirement)
        told = rebuttals(seen, "defect").get(str(seen.notes["review"]), "")
        if told != shown:
            yield Finding(
                requirement=requirement,
                message="beside a review stands something else than the latest rebuttal of its subject",
                expected=shown or "none",
                got=told or "none",
            )

    return ClientCheck(name=name, title=title, requirements=(requirement,), drive=drive, judge=judge, needs=(REGISTRY,))


def _of_another_node(subject: Subject, review: registry_pb2.Record) -> registry_pb2.Record:
    return replace(subject, node=MadeUpNode.new()).rebuttal(review, _LAST)


CHECKS = (
    _beside(
        "rebuttal-is-shown",
        title="Beside a review stands the latest rebuttal of its subject, whichever registry has it.",
        requirement="REV-RBT-001",
        rebut=lambda one, review: (
            one.rebuttal(review, _FIRST, issued=one.now - HOUR),
            one.rebuttal(review, _LAST),
        ),
        shown=_LAST,
    ),
    _beside(
        "rebuttal-of-another-node",
        title="A rebuttal of another node than the subject of a review is none.",
        requirement="REV-RBT-001",
        rebut=lambda one, review: (_of_another_node(one, review), one.rebuttal(review, _FIRST, issued=one.now - HOUR)),
        shown=_FIRST,
    ),
    _beside(
        "rebuttal-that-is-forged",
        title="A rebuttal whose signature does not verify is not shown.",
        requirement=READ,
        rebut=lambda one, review: (one.rebuttal(review, _LAST, sealed=of_other_bytes),),
        shown="",
    ),
    _beside(
        "rebuttal-by-an-unlisted-key",
        title="A rebuttal by a key that the card beside it does not list is not shown.",
        requirement=READ,
        rebut=lambda one, review: (one.rebuttal(review, _LAST, by=Caller.new()),),
        shown="",
    ),
)
