"""Tickets: who wants to review gets one that fits its ask, and nobody else gets any (REV-TKT-001)."""

from pathlib import Path

from consilience._wire.envelopes import open_envelope
from consilience.asks import Accepted
from consilience.identity import KeyPair
from consilience.reviews import ReviewTicket, check_ticket, new_salt, reviewer_commitment
from consilience.server import Node
from sdk.tests.server.callers import Reading, calling
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.specimens import Counting, serve_test_skills

ANYWHERE = "127.0.0.1:0"


def accepted_of(reading: Reading) -> Accepted:
    event = reading.events[0].event
    assert isinstance(event, Accepted)
    return event


async def test_an_ask_with_a_commitment_gets_a_ticket_by_a_key_of_the_card(tmp_path: Path, clock: ManualClock) -> None:
    node = Node("test", key=KeyPair.generate(), signing_key=tmp_path / "keys", clock=clock)
    serve_test_skills(node, Counting())
    commitment = reviewer_commitment(KeyPair.generate().public_key, salt=new_salt())
    async with node.serving(ANYWHERE) as running, calling(running, clock=clock) as caller:
        signed, reading = await caller.ask(reviewer_commitment=commitment)
        again = await caller.resume(signed.value.header.request_id).rest()
        card = await caller.card()
    accepted = accepted_of(reading)
    assert accepted.ticket is not None
    ticket = open_envelope(accepted.ticket, ReviewTicket)
    check_ticket(ticket, card=card.value, ask=signed.value, accepted=accepted)
    assert ticket.value.signing_key != card.value.node_id
    assert accepted_of(again).ticket == accepted.ticket


async def test_an_ask_without_a_commitment_gets_no_ticket(node: Node) -> None:
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, reading = await caller.ask()
    assert accepted_of(reading).ticket is None


async def test_two_asks_with_one_commitment_have_one_ticket(node: Node) -> None:
    commitment = reviewer_commitment(KeyPair.generate().public_key, salt=new_salt())
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        readings = [(await caller.ask(text, reviewer_commitment=commitment))[1] for text in ("one", "two")]
    first, second = (accepted_of(reading).ticket for reading in readings)
    assert first is not None
    assert second is not None
    assert first.digest == second.digest
