"""How sure a node says it is moves no score: what a review says of its answer does."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from consilience.asks import Confidence
from consilience.client import Client
from consilience.identity import KeyPair, format_node_id
from consilience.network.reputation import Evidence, Reputation, Score
from consilience.network.review_evidence import evidence_of
from consilience.reviews import Verdict, VerificationMethod
from consilience.server import Conclusion, IncomingAsk, Item, Node
from consilience.units import PublicKey, utc_now
from sdk.tests.client.reviews.registries import registries

ANYWHERE = "127.0.0.1:0"
DOMAIN = "units"


def node_that_states(p_correct: float | None) -> Node:
    """Returns a node whose every answer is wrong, and as sure as is said."""
    node = Node("test", key=KeyPair.generate())

    @node.skill("convert", domains=[DOMAIN])
    async def convert(ask: IncomingAsk) -> AsyncIterator[Item]:
        yield "12 inches are 5 feet."
        confidence = None if p_correct is None else Confidence(method="stated", p_correct=p_correct)
        yield Conclusion(confidence=confidence)

    return node


@pytest.fixture
async def scores(tmp_path: Path) -> dict[float | None, Score]:
    """The scores of three nodes, by what each says of itself, after one review of a wrong answer each."""
    me = KeyPair.generate()
    asked: dict[float | None, PublicKey] = {}
    async with AsyncExitStack() as stack:
        (house,) = await stack.enter_async_context(registries(tmp_path, clocks=[utc_now]))
        client = await stack.enter_async_context(
            Client(me, card_file=tmp_path / "cards.jsonl", registries=[house.address])
        )
        evidence: list[Evidence] = []
        for stated in (1.0, 0.1, None):
            running = await stack.enter_async_context(node_that_states(stated).serving(ANYWHERE))
            node_id = asked[stated] = running.card.value.node_id
            address = f"{format_node_id(node_id)}@127.0.0.1:{running.port}"
            answer = await client.ask("How many feet are 12 inches?", node=address, skill="convert")
            assert (answer.confidence.p_correct if answer.confidence else None) == stated
            await client.reviews.review(
                answer, verdict=Verdict.WRONG, method=VerificationMethod.GROUND_TRUTH, domain=DOMAIN
            )
            evidence += evidence_of((await client.reviews.about(node_id)).records.records)
    reputation = Reputation(evidence, viewer=me.public_key, now=utc_now())
    return {stated: reputation.score(node_id, domain=DOMAIN) for stated, node_id in asked.items()}


async def test_who_is_sure_of_a_wrong_answer_falls_as_far_as_who_doubts_it(scores: dict[float | None, Score]) -> None:
    sure, doubting, silent = scores.values()
    assert sure.own.items == doubting.own.items == silent.own.items == 1
    assert sure.mean == pytest.approx(1 / 3, abs=1e-4)
    assert doubting.mean == pytest.approx(sure.mean, abs=1e-4)
    assert silent.mean == pytest.approx(sure.mean, abs=1e-4)
