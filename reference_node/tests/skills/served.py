"""Skills behind a real node on a real port, with an engine that plays a script."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from consilience.client import Client
from consilience.identity import KeyPair
from consilience.nodes import Limits, Model, Skill
from consilience.payments import Budget
from consilience.rails.hold import HoldRail
from consilience.server import Node
from consilience.server.payments import Offer, Payments
from consilience_node.engines.scripted import Emit, Program, Script, ScriptedEngine, Step
from consilience_node.knowledge.calibration import Calibration, ClosedBookRow, GroundedRow
from consilience_node.knowledge.confidence import Confidences
from consilience_node.knowledge.topic import TopicRule
from consilience_node.skills.grounded import GroundedSkill
from consilience_node.skills.plain import PlainSkill

MODEL = Model(id="script", family="none", engine="scripted")
LIMITS = Limits(max_output_tokens=64)
BUDGET = Budget(per_ask="100000 TEST/0", per_day="1000000 TEST/0")


def described(**fields: object) -> Skill:
    skill = Skill(id="test", model_ids=("script",), gives_intake=True, limits=LIMITS)
    return replace(skill, **fields)  # type: ignore[arg-type]


def words(text: str, *, logprob: float | None = -0.1) -> tuple[Step, ...]:
    """One token per word."""
    return tuple(Emit(text=f" {word}" if place else word, logprob=logprob) for place, word in enumerate(text.split()))


def engine_playing(*steps: Step) -> ScriptedEngine:
    return ScriptedEngine(Script(programs=(Program(steps=steps),)))


def measured() -> Confidences:
    """What a model would be known by that is right where it is sure, and wrong where it is not."""
    closed_book = tuple(
        ClosedBookRow(id=f"c{number}", mean_logprob=mean, min_logprob=mean, token_count=1, echo=False, right=right)
        for number in range(40)
        for mean, right in ((-0.1 - number / 400, number != 7), (-1.5 - number / 400, number == 7))
    )
    grounded = tuple(
        GroundedRow(
            id=f"g{number}", topic=rule, mean_logprob=-0.2, support=1.0, echo=False, finished=True, right=number > 1
        )
        for number in range(20)
        for rule in (TopicRule.HEADWORD, TopicRule.NAMED)
    )
    return Confidences(
        Calibration(
            model="script",
            weights_sha256=bytes(32),
            measured="in a test",
            grounded=grounded,
            closed_book=closed_book,
            digest=b"\x01" * 32,
        )
    )


@dataclass(slots=True)
class Served:
    """A node that serves one skill, and who asks it."""

    address: str
    port: int
    client: Client


@asynccontextmanager
async def served(skill: PlainSkill | GroundedSkill, *, offers: Iterable[Offer] = ()) -> AsyncIterator[Served]:
    payments = Payments(rails=(HoldRail(),))
    node = Node("test", key=KeyPair.generate(), models=[MODEL], payments=payments)
    node.add_skill(skill.described, handler=skill.answer, offers=offers, check=skill.check)
    await skill.engine.start()
    with tempfile.TemporaryDirectory() as folder:
        client = Client(
            KeyPair.generate(), card_file=Path(folder) / "cards", budget=BUDGET, wallet=Path(folder) / "wallet"
        )
        async with node.serving("127.0.0.1:0") as running, client:
            yield Served(running.address, running.port, client)
    await skill.engine.close()
