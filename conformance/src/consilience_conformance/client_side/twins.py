"""Twins: a client is given what is right, the same with one defect, and what is right again.

A client that rejects everything fails by the first, one that accepts everything by the second, and one that a defect
has put out of order by the third.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from consilience_conformance.client_side.checks import ClientCheck
from consilience_conformance.client_side.judging import given_out, not_given_out, nothing_sent
from consilience_conformance.client_side.nodes import RIGHT, Manner, Node
from consilience_conformance.client_side.stage import PATIENCE_SECONDS, ClientStage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding


def rejected_answer(
    name: str, *, title: str, requirement: str, what: str, manner: Manner, seconds: float = PATIENCE_SECONDS
) -> ClientCheck:
    """Returns the check that an answer with one defect is not given out.

    Args:
        name: Of the check.
        title: What a client that passes does.
        requirement: What is broken otherwise.
        what: What is wrong: `an answer without a signature`.
        manner: Brings the defect about.
        seconds: How long the user waits for it.
    """

    async def drive(stage: ClientStage) -> None:
        node = await stage.node()
        await stage.ask("before", node)
        await stage.ask("defect", node, manner=manner, seconds=seconds)
        await stage.ask("after", node, manner=RIGHT)

    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from given_out(seen, "before", requirement=requirement)
        yield from not_given_out(seen, "defect", requirement=requirement, what=what)
        yield from given_out(seen, "after", requirement=requirement)

    return ClientCheck(name=name, title=title, requirements=(requirement,), drive=drive, judge=judge)


def accepted_answer(name: str, *, title: str, requirement: str, manner: Manner) -> ClientCheck:
    """Returns the check that an unusual answer by the rules is given out."""

    async def drive(stage: ClientStage) -> None:
        node = await stage.node()
        await stage.ask("unusual", node, manner=manner)

    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from given_out(seen, "unusual", requirement=requirement)

    return ClientCheck(name=name, title=title, requirements=(requirement,), drive=drive, judge=judge)


def rejected_card(name: str, *, title: str, requirement: str, what: str, change: Callable[[Node], None]) -> ClientCheck:
    """Returns the check that a node whose card has one defect is not asked; arguments as `rejected_answer`."""

    async def drive(stage: ClientStage) -> None:
        right, wrong = await stage.node(), await stage.node()
        change(wrong)
        await stage.ask("before", right)
        await stage.ask("defect", wrong)
        await stage.ask("after", right)

    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from given_out(seen, "before", requirement=requirement)
        yield from nothing_sent(seen, "defect", requirement=requirement, why=f"to a node with {what}")
        yield from not_given_out(seen, "defect", requirement=requirement, what=f"the answer of a node with {what}")
        yield from given_out(seen, "after", requirement=requirement)

    return ClientCheck(name=name, title=title, requirements=(requirement,), drive=drive, judge=judge)


def accepted_card(name: str, *, title: str, requirement: str, change: Callable[[Node], None]) -> ClientCheck:
    """Returns the check that a node with an unusual card by the rules is asked."""

    async def drive(stage: ClientStage) -> None:
        node = await stage.node()
        change(node)
        await stage.ask("unusual", node)

    def judge(seen: Transcript) -> Iterator[Finding]:
        yield from given_out(seen, "unusual", requirement=requirement)

    return ClientCheck(name=name, title=title, requirements=(requirement,), drive=drive, judge=judge)
