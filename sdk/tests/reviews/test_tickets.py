from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consilience import asks, reviews
from consilience._wire import envelopes
from consilience.envelopes import Signed
from consilience.errors import ProtocolError
from consilience.units import PublicKey
from sdk.tests._wire.chains import full_ask
from sdk.tests.reviews.specimens import NOW, TestNode, key

NODE, REVIEWER, SALT = TestNode.named("node"), key("reviewer"), b"s" * 32
CARD = NODE.card()
ASK = replace(
    full_ask(NODE.root, REVIEWER, CARD.digest),
    skill_id="units.convert",
    reviewer_commitment=reviews.reviewer_commitment(REVIEWER.public_key, salt=SALT),
)
ACCEPTED = asks.Accepted(ask_digest=CARD.digest, accept_time=NOW)


def _ticket(**changes: Any) -> Signed[reviews.ReviewTicket]:
    return NODE.ticket(reviewer=REVIEWER, salt=SALT, at=NOW, **changes)


def _check(ticket: Signed[reviews.ReviewTicket], *, accepted: asks.Accepted = ACCEPTED) -> None:
    reviews.check_ticket(ticket, card=CARD.value, ask=ASK, accepted=accepted)


def test_the_commitment_is_the_hash_of_key_and_salt() -> None:
    # echo -n 00…01…  | sha256sum
    commitment = reviews.reviewer_commitment(PublicKey(bytes(32)), salt=bytes([1]) * 32)
    assert commitment.hex() == "5c85955f709283ecce2b74f1b1552918819f390911816e7bb466805a38ab87f3"


def test_salts_differ_and_have_32_bytes() -> None:
    salts = {reviews.new_salt() for _ in range(100)}
    assert len(salts) == 100
    assert {len(salt) for salt in salts} == {32}


def test_a_ticket_for_the_ask_passes() -> None:
    _check(_ticket())


@pytest.mark.parametrize(
    "changes",
    [
        {"node_id": key("another node").public_key},
        {"skill_id": "units.guess"},
        {"reviewer_commitment": b"c" * 32},
        {"signer": key("stranger")},
        {"issue_day": datetime(2026, 11, 22, tzinfo=UTC)},
    ],
)
def test_a_ticket_of_another_ask_node_key_or_day_is_told(changes: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="REV-TKT-001"):
        _check(_ticket(**changes))


def test_a_key_that_has_expired_signs_no_tickets() -> None:
    accepted = asks.Accepted(ask_digest=CARD.digest, accept_time=NOW + timedelta(days=21))
    with pytest.raises(ProtocolError, match="does not list"):
        _check(_ticket(issue_day=reviews.day_of(accepted.accept_time)), accepted=accepted)


def test_two_asks_with_one_commitment_on_one_day_have_one_ticket() -> None:
    later = NODE.ticket(reviewer=REVIEWER, salt=SALT, at=NOW + timedelta(hours=2))
    assert later.digest == _ticket().digest


def test_nothing_of_who_asks_stands_in_a_ticket() -> None:
    encoded = envelopes.to_bytes(_ticket().envelope)
    assert encoded.find(REVIEWER.public_key) == encoded.find(SALT) == -1


@pytest.mark.parametrize(("charge", "digits"), [(1, 1), (9, 1), (10, 2), (99, 2), (2**63 - 1, 19)])
def test_an_attestation_tells_the_digits_of_a_charge(charge: int, digits: int) -> None:
    assert reviews.charge_digits(charge) == digits
