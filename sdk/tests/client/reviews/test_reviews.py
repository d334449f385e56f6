"""Reviews: from the ticket that comes with an answer to what everybody reads of it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consilience._wire.envelopes import seal
from consilience._wire.registries import encode_records
from consilience.asks import Accepted
from consilience.client import Client
from consilience.client.reviews import FaultKind, TicketBook
from consilience.client.reviews.verifying import opened
from consilience.errors import RecordRetractedError, TicketUsedError, UsageError, WrongKeyError
from consilience.identity import KeyPair, format_node_id
from consilience.payments import Amount, Budget
from consilience.reviews import (
    AdvisoryCategory,
    PublishOutcome,
    Record,
    Retraction,
    ReviewTicket,
    Severity,
    Verdict,
    VerificationMethod,
    day_of,
)
from consilience.server import Node, RunningNode
from consilience.units import utc_now
from sdk.tests.client.reviews.registries import House
from sdk.tests.client.scripted_nodes import AskCall, ScriptedNode
from sdk.tests.server.payments.shops import Shop, shop_node
from sdk.tests.server.specimens import Counting, echo, serve_test_skills

ANYWHERE = "127.0.0.1:0"
NODE_KEY = KeyPair.generate()


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningNode]:
    node = Node("test", key=NODE_KEY, signing_key=tmp_path / "signing")
    serve_test_skills(node, Counting())
    async with node.serving(ANYWHERE) as serving:
        yield serving


def address_of(running: RunningNode) -> str:
    return f"{format_node_id(running.card.value.node_id)}@127.0.0.1:{running.port}"


async def test_an_answer_is_reviewed_answered_by_its_node_and_taken_back(
    client: Client, running: RunningNode, houses: tuple[House, ...], card_file: Path
) -> None:
    result = await client.ask("say", node=address_of(running), skill="echo")
    said = await client.reviews.review(
        result, verdict=Verdict.WRONG, method=VerificationMethod.TOOL, score_milli=100, comment="No.", domain="law.de"
    )
    assert said.outcomes == {house.address: PublishOutcome.STORED for house in houses}
    opinions = await client.reviews.about(running.card.value.node_id)
    ((review,),) = (opinions.signed_reviews(),)
    assert (review.value.verdict, review.value.comment) == (Verdict.WRONG, "No.")
    assert review.value.answer_digest == result.answer.digest
    assert opinions.reviews[0].rebuttal is None

    async with Client(NODE_KEY, card_file=card_file, registries=[houses[0].address]) as node:
        await node.reviews.rebut(said.record, comment="It was right.")
    answered = await client.reviews.about(format_node_id(running.card.value.node_id))
    rebuttal = answered.reviews[0].rebuttal
    assert rebuttal is not None
    assert rebuttal.comment == "It was right."
    assert [(fault.registry, fault.kind) for fault in answered.faults] == [(houses[1].address, FaultKind.BEHIND)]

    await client.reviews.retract(said.record, comment="It was right after all.", registries=[houses[1].address])
    after = await client.reviews.about(running.card.value.node_id)
    assert after.reviews == ()
    assert [(fault.registry, fault.kind) for fault in after.faults] == [(houses[0].address, FaultKind.BEHIND)]
    with pytest.raises(RecordRetractedError):
        await client.reviews.publish(said.record)


@pytest.mark.parametrize(("said", "read"), [(None, "units"), ("law.de", "law.de"), ("", "")])
async def test_a_review_is_about_the_one_domain_of_the_skill_unless_its_writer_says_otherwise(
    client: Client, said: str | None, read: str
) -> None:
    node = Node("feet", key=KeyPair.generate())
    node.skill("echo", domains=["units"])(echo)
    async with node.serving(ANYWHERE) as serving:
        result = await client.ask("say", node=address_of(serving))
        await client.reviews.review(result, verdict=Verdict.WRONG, domain=said)
    (review,) = (await client.reviews.about(serving.node_id)).signed_reviews()
    assert review.value.domain == read


async def test_an_answer_is_reviewed_once(client: Client, running: RunningNode) -> None:
    result = await client.ask("say", node=address_of(running), skill="echo")
    await client.reviews.review(result, verdict=Verdict.CORRECT)
    with pytest.raises(TicketUsedError):
        await client.reviews.review(result, verdict=Verdict.WRONG)


async def test_a_review_rests_on_the_card_where_another_key_signed_the_ticket(
    client: Client, running: RunningNode
) -> None:
    result = await client.ask("say", node=address_of(running), skill="echo")
    said = await client.reviews.review(result, verdict=Verdict.CORRECT)
    assert result.ticket is not None
    assert result.ticket.ticket.value.signing_key != running.card.value.node_id
    assert said.record.card == result.node.envelope


async def test_a_review_of_a_paid_answer_carries_what_the_node_attests(
    houses: tuple[House, ...], card_file: Path, tmp_path: Path
) -> None:
    budget = Budget(per_ask=Amount(500, "TEST/0"), per_day=Amount(5000, "TEST/0"))
    key = KeyPair.generate()
    async with (
        shop_node(KeyPair.generate(), Shop()).serving(ANYWHERE) as shop,
        Client(
            key, card_file=card_file, budget=budget, wallet=tmp_path / "wallet", registries=[houses[0].address]
        ) as client,
    ):
        result = await client.ask("one two three", node=address_of(shop), skill="words")
        said = await client.reviews.review(result, verdict=Verdict.CORRECT)
        opinions = await client.reviews.about(shop.card.value.node_id)
    assert result.cost == Amount(15, "TEST/0")
    (review,) = opinions.signed_reviews()
    assert review.value.attestation is not None
    assert review.value.attestation.value.charge_digits == 2
    assert review.digest == said.record.digest


async def test_each_ask_commits_anew_and_one_that_is_not_reviewable_to_nobody(
    node: ScriptedNode, client: Client
) -> None:
    for reviewable in (True, True, False):
        await client.ask("Hello?", node=node.address, reviewable=reviewable)
    commitments = [log.ask.value.reviewer_commitment for log in node.logs.values()]
    assert len(set(commitments)) == 3
    assert [len(commitment) for commitment in commitments] == [32, 32, 0]


async def test_the_reviewer_may_be_another_key_than_the_one_that_asks(
    running: RunningNode, houses: tuple[House, ...], card_file: Path
) -> None:
    asker, reviewer = KeyPair.generate(), KeyPair.generate()
    async with Client(asker, reviewer=reviewer, card_file=card_file, registries=[houses[0].address]) as client:
        result = await client.ask("say", node=address_of(running), skill="echo")
        said = await client.reviews.review(result, verdict=Verdict.CORRECT)
        (review,) = (await client.reviews.about(running.card.value.node_id)).signed_reviews()
        await client.reviews.retract(said.record)
    assert review.value.reviewer == reviewer.public_key
    async with Client(asker, card_file=card_file, registries=[houses[0].address]) as stranger:
        with pytest.raises(WrongKeyError, match="another reviewer"):
            await stranger.reviews.review(result, verdict=Verdict.CORRECT)
        with pytest.raises(
            WrongKeyError, match=f"by its author alone: sign with the key {format_node_id(reviewer.public_key)}"
        ):
            await stranger.reviews.retract(said.record)


async def test_a_ticket_is_kept_for_a_review_by_another_process(
    running: RunningNode, houses: tuple[House, ...], card_file: Path, tmp_path: Path
) -> None:
    key, file = KeyPair.generate(), tmp_path / "state" / "tickets.sqlite"
    async with Client(key, card_file=card_file, ticket_file=file) as client:
        result = await client.ask("a secret question", node=address_of(running), skill="echo")
    book = TicketBook(file)
    (held,) = book.latest()
    book.close()
    assert held == result.ticket
    assert held.answer_digest == result.answer.digest
    assert b"secret" not in file.read_bytes()
    async with Client(key, card_file=card_file, registries=[houses[0].address]) as later:
        await later.reviews.review(held, verdict=Verdict.CORRECT)
        assert len((await later.reviews.about(running.card.value.node_id)).reviews) == 1


async def test_an_answer_that_never_ends_can_be_reviewed(
    client: Client, running: RunningNode, houses: tuple[House, ...]
) -> None:
    async with client.stream("count", node=address_of(running), skill="count") as stream:
        await anext(stream)
        ticket = stream.ticket
    assert ticket is not None
    await client.reviews.review(ticket, verdict=Verdict.HARMFUL)
    (review,) = (await client.reviews.about(running.card.value.node_id)).signed_reviews()
    assert review.value.answer_digest == b""


Bend = Callable[[ReviewTicket, ScriptedNode], tuple[ReviewTicket, KeyPair]]


def _bent(**changes: Any) -> Bend:
    return lambda ticket, node: (replace(ticket, **changes), node.signing)


def _signed_by(stranger: KeyPair) -> Bend:
    return lambda ticket, _: (replace(ticket, signing_key=stranger.public_key), stranger)


@pytest.mark.parametrize(
    "bend",
    [
        _bent(skill_id="other"),
        _bent(reviewer_commitment=bytes(32)),
        _bent(issue_day=day_of(utc_now()) - timedelta(days=1)),
        _bent(issue_day=utc_now()),
        _bent(node_id=KeyPair.generate().public_key),
        _bent(reviewer_commitment=bytes(31)),
        _signed_by(KeyPair.generate()),
        lambda ticket, _: (ticket, KeyPair.generate()),
    ],
)
async def test_an_answer_whose_ticket_does_not_hold_is_an_answer_without_a_ticket(
    node: ScriptedNode, client: Client, bend: Bend
) -> None:
    async def answer(call: AskCall) -> AsyncIterator[bytes]:
        ask, now = call.ask.value, utc_now()
        honest = ReviewTicket(
            node_id=node.root.public_key,
            signing_key=node.signing.public_key,
            skill_id=ask.skill_id,
            reviewer_commitment=ask.reviewer_commitment,
            issue_day=day_of(now),
        )
        ticket, signer = bend(honest, node)
        envelope = seal(ticket, signer=signer).envelope
        yield call.log.add(Accepted(ask_digest=call.ask.digest, accept_time=now, ticket=envelope))
        yield call.log.text("Hello.")
        yield call.log.final()

    node.on_ask = answer
    result = await client.ask("Hello?", node=node.address)
    assert (result.text, result.ticket) == ("Hello.", None)
    with pytest.raises(UsageError, match="without a ticket"):
        await client.reviews.review(result, verdict=Verdict.WRONG)


async def test_a_warning_is_read_until_it_is_taken_back(client: Client, houses: tuple[House, ...]) -> None:
    node_id = KeyPair.generate().public_key
    said = await client.reviews.warn(
        node=format_node_id(node_id), category=AdvisoryCategory.FRAUD, severity=Severity.HIGH, summary="It takes money."
    )
    (opinion,) = (await client.reviews.about(node_id)).advisories
    assert opinion.record.place.digest == said.record.digest
    assert await client.reviews.get(said.record.digest) == said.record
    await client.reviews.retract(said.record)
    assert (await client.reviews.about(node_id)).advisories == ()


async def test_what_was_seen_to_be_taken_back_does_not_come_back(
    client: Client, houses: tuple[House, ...], card_file: Path
) -> None:
    node_id = KeyPair.generate().public_key
    said = await client.reviews.warn(
        node=format_node_id(node_id), category=AdvisoryCategory.FRAUD, severity=Severity.HIGH, summary="It takes money."
    )
    await client.reviews.retract(said.record)
    async with Client(KeyPair.generate(), card_file=card_file, registries=[houses[0].address]) as reader:
        assert (await reader.reviews.about(node_id)).advisories == ()
        for house in houses:
            house.between.bends["ListRecords"] = lambda *_: encode_records([said.record], next_page_token=b"")
        assert (await reader.reviews.about(node_id)).advisories == ()
    async with Client(KeyPair.generate(), card_file=card_file, registries=[houses[0].address]) as stranger:
        assert len((await stranger.reviews.about(node_id)).advisories) == 1


async def test_a_retraction_counts_that_says_to_be_about_another_node(
    houses: tuple[House, ...], card_file: Path
) -> None:
    author, node_id = KeyPair.generate(), KeyPair.generate().public_key
    one, other = (house.address for house in houses)
    async with Client(author, card_file=card_file, registries=[one, other]) as client:
        said = await client.reviews.warn(
            node=format_node_id(node_id),
            category=AdvisoryCategory.FRAUD,
            severity=Severity.HIGH,
            summary="It takes money.",
            registries=[one],
        )
        place = opened(said.record, now=utc_now()).place
        retraction = Retraction(
            author=author.public_key,
            target_type=place.type,
            target_digest=place.slot,
            subject=KeyPair.generate().public_key,
            issue_time=utc_now(),
            expire_time=place.end,
        )
        await client.reviews.publish(Record(object=seal(retraction, signer=author).envelope), registries=[other])
        opinions = await client.reviews.about(node_id)
    assert opinions.advisories == ()
    assert [(fault.registry, fault.kind) for fault in opinions.faults] == [(one, FaultKind.BEHIND)]


async def test_what_cannot_be_said_is_refused_before_anything_is_sent(
    client: Client, running: RunningNode, houses: tuple[House, ...]
) -> None:
    result = await client.ask("say", node=address_of(running), skill="echo")
    desk, node = client.reviews, format_node_id(running.card.value.node_id)
    fraud = {"category": AdvisoryCategory.FRAUD, "severity": Severity.HIGH}
    with pytest.raises(UsageError, match="comment"):
        await desk.review(result, verdict=Verdict.CORRECT, comment="x" * 3000)
    with pytest.raises(UsageError, match="independent"):
        await desk.review(result, verdict=Verdict.CORRECT, method=VerificationMethod.CROSS_CHECK)
    with pytest.raises(UsageError, match="summary"):
        await desk.warn(node=node, summary="", **fraud)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="730"):
        await desk.warn(node=node, summary="Beware.", lifetime=timedelta(days=800), **fraud)  # type: ignore[arg-type]
    said = await desk.review(result, verdict=Verdict.CORRECT)
    with pytest.raises(WrongKeyError, match="not the node that this is about"):
        await desk.rebut(said.record, comment="I was right.")
    assert [house.between.methods.count("PublishRecord") for house in houses] == [1, 1]


async def test_what_one_registry_does_not_take_another_does(
    client: Client, running: RunningNode, houses: tuple[House, ...]
) -> None:
    result = await client.ask("say", node=address_of(running), skill="echo")
    said = await client.reviews.review(result, verdict=Verdict.CORRECT, registries=["127.0.0.1:1", houses[0].address])
    assert list(said.outcomes) == [houses[0].address]
    assert list(said.failures) == ["127.0.0.1:1"]


async def test_no_call_to_a_registry_tells_of_the_question(
    client: Client, running: RunningNode, houses: tuple[House, ...]
) -> None:
    result = await client.ask("the secret of Mrs Achterberg", node=address_of(running), skill="echo")
    await client.reviews.review(result, verdict=Verdict.CORRECT)
    await client.reviews.about(running.card.value.node_id)
    assert result.exchange.ask is not None
    for house in houses:
        recorded = b"".join(request for _, request in house.between.requests)
        assert b"Achterberg" not in recorded
        assert bytes(result.exchange.ask.digest) not in recorded
        assert bytes(result.request_id) not in recorded
