"""Data classes: every ask has one, and none goes to a node that may not read it (spec section 2.1)."""

from __future__ import annotations

from collections.abc import Iterator

from consilience.v1 import ask_pb2, node_pb2
from consilience_conformance.ask_methods import ASK
from consilience_conformance.client_side.checks import DATA_CLASS, TRUSTED_NODES, ClientCheck
from consilience_conformance.client_side.judging import (
    calls,
    envelope_of,
    given_out,
    not_given_out,
    nothing_sent,
)
from consilience_conformance.client_side.nodes import Node
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_CLASSES = ("PUBLIC", "INTERNAL", "CONFIDENTIAL", "RESTRICTED")


async def _node(stage: ClientStage, *, card: int, skill: int = 0) -> Node:
    """Starts a node that reads up to a class, and whose skill may read less."""
    node = await stage.node()
    shown = node_pb2.NodeCard.FromString(node.card.payload)
    shown.data_policy.max_data_class = node_pb2.DataClass.ValueType(card)
    shown.skills[0].max_data_class = node_pb2.DataClass.ValueType(skill)
    node.show(shown)
    return node


async def _ask_without_a_class(stage: ClientStage) -> None:
    node = await stage.node()
    await stage.ask("classified", node)
    await stage.ask("without", node, data_class="")
    await stage.ask("unspecified", node, data_class="UNSPECIFIED")


def _judge_without(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "classified", requirement="ASK-DATA-001")
    for name in ("classified", "without", "unspecified"):
        yield from _classified(seen, name, wanted="PUBLIC" if name == "classified" else "")


async def _ask_in_each_class(stage: ClientStage) -> None:
    node = await stage.node()
    await stage.open(trusted=(node.identity.text,))
    for name in _CLASSES:
        await stage.ask(name, node, data_class=name)


def _judge_each_class(seen: Transcript) -> Iterator[Finding]:
    for name in _CLASSES:
        yield from given_out(seen, name, requirement="ASK-DATA-001")
        yield from _classified(seen, name, wanted=name)


def _classified(seen: Transcript, name: str, *, wanted: str) -> Iterator[Finding]:
    """Yields the asks that have no class, or another than their user said."""
    for exchange in calls(seen, name, ASK):
        number = ask_pb2.Ask.FromString(envelope_of(exchange).payload).data_class
        known = {f"DATA_CLASS_{one}": one for one in _CLASSES}
        said = known.get(node_pb2.DataClass.Name(number), "") if number in node_pb2.DataClass.values() else ""
        if not said or (wanted and said != wanted):
            yield Finding(
                requirement="ASK-DATA-001",
                message="an ask has another data class than its user gave it" if said else "an ask has no data class",
                expected=wanted or "one, or no ask",
                got=said or "none",
                exchange=exchange.name,
            )


async def _ask_above_the_card(stage: ClientStage) -> None:
    node = await _node(stage, card=node_pb2.DATA_CLASS_PUBLIC)
    await stage.ask("below", node)
    await stage.ask("above-card", node, data_class="INTERNAL")
    tight = await _node(stage, card=node_pb2.DATA_CLASS_RESTRICTED, skill=node_pb2.DATA_CLASS_PUBLIC)
    await stage.ask("above-skill", tight, data_class="INTERNAL")


def _judge_above(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "below", requirement="ASK-DATA-003")
    yield from _withheld(seen, "above-card", why="above the class that the card reads")
    yield from _withheld(seen, "above-skill", why="above the class that the skill reads")


async def _ask_strangers(stage: ClientStage) -> None:
    listed, stranger = await stage.node(), await stage.node()
    low = await _node(stage, card=node_pb2.DATA_CLASS_INTERNAL)
    await stage.open(trusted=(listed.identity.text, low.identity.text))
    await stage.ask("internal-to-a-stranger", stranger, data_class="INTERNAL")
    for name in ("CONFIDENTIAL", "RESTRICTED"):
        await stage.ask(f"{name}-to-a-stranger", stranger, data_class=name)
    await stage.ask("above-a-listed-card", low, data_class="CONFIDENTIAL")
    await stage.ask("listed", listed, data_class="RESTRICTED")


def _judge_strangers(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "internal-to-a-stranger", requirement="ASK-DATA-003")
    for name in ("CONFIDENTIAL", "RESTRICTED"):
        yield from _withheld(seen, f"{name}-to-a-stranger", why="above INTERNAL, to a node that is not on the list")
    yield from _withheld(seen, "above-a-listed-card", why="above the class that the card of a listed node reads")
    yield from given_out(seen, "listed", requirement="ASK-DATA-003")


def _withheld(seen: Transcript, name: str, *, why: str) -> Iterator[Finding]:
    yield from nothing_sent(seen, name, requirement="ASK-DATA-003", why=why)
    yield from not_given_out(seen, name, requirement="ASK-DATA-003", what=f"the answer to an ask {why}")


CHECKS = (
    ClientCheck(
        name="no-ask-without-a-class",
        title="An ask for which the user gives no data class has one all the same, or is not sent.",
        requirements=("ASK-DATA-001",),
        drive=_ask_without_a_class,
        judge=_judge_without,
    ),
    ClientCheck(
        name="class-is-the-one-given",
        title="An ask has the data class that its user gave it.",
        requirements=("ASK-DATA-001",),
        drive=_ask_in_each_class,
        judge=_judge_each_class,
        needs=(DATA_CLASS, TRUSTED_NODES),
    ),
    ClientCheck(
        name="class-above-the-card-is-not-sent",
        title="An ask above the class that card or skill read is not sent.",
        requirements=("ASK-DATA-003",),
        drive=_ask_above_the_card,
        judge=_judge_above,
        needs=(DATA_CLASS,),
    ),
    ClientCheck(
        name="class-above-internal-needs-the-list",
        title="An ask above INTERNAL is sent to nodes on the user's own list alone.",
        requirements=("ASK-DATA-003",),
        drive=_ask_strangers,
        judge=_judge_strangers,
        needs=(DATA_CLASS, TRUSTED_NODES),
    ),
)
