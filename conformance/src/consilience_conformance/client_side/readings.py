"""Readings: a client reads what registries serve, and its user gets what holds of it, and nothing else (chapter 4).

Each defect stands between two readings that are right. What a client says of a registry that lies is its own affair.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from consilience.v1 import registry_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.client_side.checks import REGISTRY, ClientCheck
from consilience_conformance.client_side.judging import reply_of
from consilience_conformance.client_side.registries import Registry
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.client_side.subjects import Subject
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

READ = "REC-READ-001"
STEPS = ("before", "defect", "after")

Make = Callable[[Subject], registry_pb2.Record]


def got(seen: Transcript, name: str) -> list[str]:
    """Returns the digests of what the user got by one reading, in hexadecimal."""
    reply = reply_of(seen, name)
    return [row["card"] for row in reply.get("found", ())] + [row["record"] for row in reply.get("said", ())]


def rebuttals(seen: Transcript, name: str) -> dict[str, str]:
    """Returns what stands beside the records that the user got, by their digests."""
    return {row["record"]: row["rebuttal"] for row in reply_of(seen, name).get("said", ()) if "rebuttal" in row}


def read_rightly(seen: Transcript, name: str, *, requirement: str) -> Iterator[Finding]:
    """Yields a finding unless the user got all that is right, whatever else it got."""
    right: Any = seen.notes["right"]
    told = got(seen, name)
    for digest in right[name]:
        if digest not in told:
            yield Finding(
                requirement=requirement,
                message="a record that holds does not reach the user",
                expected=digest,
                got=", ".join(told) or str(reply_of(seen, name)),
            )
            return


def nothing_else(seen: Transcript, name: str, *, requirement: str, what: str) -> Iterator[Finding]:
    """Yields a finding if the user got more than what is right.

    Args:
        seen: The transcript.
        name: Of the reading.
        requirement: What is broken then.
        what: What else was served: `a review whose signature does not verify`.
    """
    right: Any = seen.notes["right"]
    for digest in got(seen, name):
        if digest not in right[name]:
            yield Finding(requirement=requirement, message=f"{what} counts", expected="nothing of it", got=digest)
            return


def rejected(name: str, *, what: str, make: Make, requirement: str = READ) -> ClientCheck:
    """Returns the check that a client does not count a review or an advisory with one defect.

    Args:
        name: Of the check.
        what: What is wrong: `a review without a signature`.
        make: Makes the record.
        requirement: What is broken otherwise.
    """

    async def drive(stage: ClientStage) -> None:
        subject, registry = await prepared(stage)
        right, wrong = [subject.review(), subject.advisory()], make(subject)
        for step, served in zip(STEPS, (right, [wrong, *right], right), strict=True):
            registry.records = served
            await stage.about(step, subject.node.node_id, right=[one.object for one in right])

    return _twin(name, title=f"Nobody counts {what}.", what=what, requirement=requirement, drive=drive)


def rejected_card(name: str, *, what: str, make: Callable[[Subject], SignedEnvelope]) -> ClientCheck:
    """Returns the check that a client does not find a node by a card with one defect; arguments as `rejected`."""

    async def drive(stage: ClientStage) -> None:
        subject, registry = await prepared(stage)
        right, wrong = Subject().shown(), make(subject)
        for step, served in zip(STEPS, ([right], [wrong, right], [right]), strict=True):
            registry.cards = served
            await stage.find(step, right=[right])

    return _twin(name, title=f"Nobody is found by {what}.", what=what, requirement=READ, drive=drive)


def rejected_record(name: str, *, what: str, right: Make, make: Make) -> ClientCheck:
    """Returns the check that a client does not read a record with one defect by its digest.

    Args:
        name: Of the check.
        what: As in `rejected`.
        right: Makes one of the same type that holds, of another subject.
        make: Makes the record.
    """

    async def drive(stage: ClientStage) -> None:
        subject, registry = await prepared(stage)
        holds, wrong = right(Subject()), make(subject)
        registry.records = [holds, wrong]
        await stage.read("before", holds.object, right=True)
        await stage.read("defect", wrong.object, right=False)
        await stage.read("after", holds.object, right=True)

    return _twin(name, title=f"Nobody reads {what}.", what=what, requirement=READ, drive=drive)


def accepted(name: str, *, title: str, make: Make) -> ClientCheck:
    """Returns the check that an unusual review or advisory by the rules counts."""

    async def drive(stage: ClientStage) -> None:
        subject, registry = await prepared(stage)
        registry.records = [make(subject)]
        await stage.about("unusual", subject.node.node_id, right=[registry.records[0].object])

    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from read_rightly(seen, "unusual", requirement=READ)

    return ClientCheck(name=name, title=title, requirements=(READ,), drive=drive, judge=judge, needs=(REGISTRY,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What is served at one time of a subject, and what counts of it.

    Attributes:
        served: By one registry each.
        right: What counts.
    """

    served: Sequence[Sequence[registry_pb2.Record]]
    right: Sequence[registry_pb2.Record]


Steps = tuple[Step, Step, Step]


def decided(name: str, *, title: str, what: str, requirement: str, steps: Callable[[Subject], Steps]) -> ClientCheck:
    """Returns the check that of records that hold those count that the rules keep, and no others.

    Args:
        name: Of the check.
        title: What a client that passes does.
        what: What does not count: `a review that was taken back`.
        requirement: What is broken otherwise.
        steps: What is served before, then with what decides, and after.
    """

    async def drive(stage: ClientStage) -> None:
        subject = Subject()
        told = dict(zip(STEPS, steps(subject), strict=True))
        registries = [await stage.registry() for _ in told["defect"].served]
        await stage.open(registries=registries)
        for step, one in told.items():
            for registry, served in zip(registries, one.served, strict=True):
                registry.records = list(served)
            await stage.about(step, subject.node.node_id, right=[record.object for record in one.right])

    def judge(seen: Transcript) -> Iterator[Finding]:
        for step in STEPS:
            yield from nothing_else(seen, step, requirement=requirement, what=what)
            yield from read_rightly(seen, step, requirement=requirement)

    return ClientCheck(name=name, title=title, requirements=(requirement,), drive=drive, judge=judge, needs=(REGISTRY,))


async def prepared(stage: ClientStage) -> tuple[Subject, Registry]:
    """Returns a subject, and the registry of a client that has no other."""
    registry = await stage.registry()
    await stage.open(registries=[registry])
    return Subject(), registry


def _twin(
    name: str, *, title: str, what: str, requirement: str, drive: Callable[[ClientStage], Awaitable[None]]
) -> ClientCheck:
    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from read_rightly(seen, "before", requirement=requirement)
        yield from nothing_else(seen, "defect", requirement=requirement, what=what)
        yield from read_rightly(seen, "after", requirement=requirement)

    return ClientCheck(name=name, title=title, requirements=(requirement,), drive=drive, judge=judge, needs=(REGISTRY,))
