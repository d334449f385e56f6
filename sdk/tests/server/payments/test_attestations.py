"""Attestations: an answer that has a ticket and cost something says how many digits it cost (REV-PAY-001)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from consilience._wire.envelopes import open_envelope
from consilience.asks import Accepted
from consilience.envelopes import Envelope
from consilience.identity import KeyPair
from consilience.payments import Receipt
from consilience.reviews import PaymentAttestation, ReviewTicket, new_salt, reviewer_commitment
from consilience.server import RunningNode
from consilience.server.tickets import attestation_of
from consilience.tariffs import Backing
from consilience.units import Digest
from sdk.tests.server.callers import Reading, calling
from sdk.tests.server.payments.payers import Payer, opened, paying
from sdk.tests.server.payments.shops import WINDOW, Shop, shop_node
from sdk.tests.server.payments.test_paid_crashes import PROGRAM
from sdk.tests.server.programs import Program

ANYWHERE = "127.0.0.1:0"


@pytest.fixture
async def running(key: KeyPair) -> AsyncIterator[RunningNode]:
    async with shop_node(key, Shop()).serving(ANYWHERE) as serving:
        yield serving


@pytest.fixture
async def payer(running: RunningNode) -> AsyncIterator[Payer]:
    async with paying(running) as paying_one:
        yield paying_one


def commitment() -> bytes:
    return reviewer_commitment(KeyPair.generate().public_key, salt=new_salt())


def ticket_of(reading: Reading) -> Envelope:
    accepted = reading.events[0].event
    assert isinstance(accepted, Accepted)
    assert accepted.ticket is not None
    return accepted.ticket


def attested(reading: Reading) -> PaymentAttestation:
    assert reading.final.attestation is not None
    return open_envelope(reading.final.attestation, PaymentAttestation).value


async def test_a_paid_answer_with_a_ticket_is_attested(payer: Payer, running: RunningNode) -> None:
    question = await payer.question("one two three", pays=WINDOW + 15, reviewer_commitment=commitment())
    reading = await payer.follow(question)
    receipt = payer.check(question, reading).value
    attestation = attested(reading)
    assert receipt.charge == 2 + len("one two three")
    assert attestation.charge_digits == 2
    assert attestation.ticket_digest == ticket_of(reading).digest
    assert (attestation.node_id, attestation.asset) == (running.card.value.node_id, "TEST/0")
    assert (attestation.backing, attestation.issuer) == (Backing.CREDIT, b"")
    assert running.card.value.may_sign(attestation.signing_key, at=receipt.finish_time)


async def test_what_costs_nothing_or_has_no_ticket_is_not_attested(payer: Payer) -> None:
    unasked = await payer.question("one", pays=WINDOW)
    failed = await payer.question("at once", skill="failing", pays=WINDOW + 5, reviewer_commitment=commitment())
    first, second = await payer.follow(unasked), await payer.follow(failed)
    assert payer.check(unasked, first).value.charge == 5
    assert first.final.attestation is None
    assert second.final.receipt is not None
    assert open_envelope(second.final.receipt, Receipt).value.charge == 0
    assert second.final.attestation is None
    assert open_envelope(ticket_of(second), ReviewTicket).value.skill_id == "failing"


async def test_a_free_answer_has_a_ticket_and_no_attestation(running: RunningNode) -> None:
    async with calling(running) as caller:
        _, reading = await caller.ask(skill_id="gratis", reviewer_commitment=commitment())
    assert open_envelope(ticket_of(reading), ReviewTicket).value.skill_id == "gratis"
    assert reading.final.attestation is None


@pytest.mark.parametrize("backing", [Backing.PREPAID, Backing.ESCROW])
async def test_the_issuer_is_named_in_escrow_and_only_there(payer: Payer, backing: Backing) -> None:
    question = await payer.question("one", pays=WINDOW)
    receipt = replace(payer.check(question, await payer.follow(question)).value, backing=backing, charge=1_000)
    signer = KeyPair.generate()
    envelope = attestation_of(receipt, ticket_digest=Digest(bytes(32)), signer=signer)
    attestation = open_envelope(envelope, PaymentAttestation).value
    assert attestation.charge_digits == 4
    assert attestation.issuer == (receipt.issuer if backing is Backing.ESCROW else b"")


async def test_an_interrupted_answer_that_is_charged_is_attested_after_the_restart(tmp_path: Path) -> None:
    key = KeyPair.generate()
    program = await Program.start(PROGRAM, folder=tmp_path)
    async with calling(program, key=key) as caller:
        payer = await opened(caller)
        question = await payer.question(skill="count", pays=1000, reviewer_commitment=commitment())
        call = payer.send(question)
        read = [event for _ in range(60) if (event := await call.next()) is not None]
        await program.kill()
    program = await Program.start(PROGRAM, folder=tmp_path)
    try:
        async with calling(program, key=key) as caller:
            back = Payer(caller=caller, terms=payer.terms)
            resumed = caller.resume(question.ask.value.header.request_id, after=read[-1].sequence)
            reading = await resumed.rest(known=tuple(read))
            receipt = back.check(question, reading).value
    finally:
        await program.kill()
    assert receipt.charge > 0
    assert attested(reading).charge_digits == len(str(receipt.charge))
    assert attested(reading).ticket_digest == ticket_of(reading).digest
    assert receipt.finish_time - receipt.start_time < timedelta(hours=1)
