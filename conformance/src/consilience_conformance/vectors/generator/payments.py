"""Well-formed objects of a payment: a quote, the terms of a session, a voucher (spec chapter 3)."""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from consilience.v1 import payment_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.vectors.generator import messages
from consilience_conformance.vectors.generator.actors import ASKER, NODE, NOON, SIGNING_KEY, fixed_bytes, timestamp

ASSET = "TEST/0"
RAIL = "hold.v1"
CREDIT_LIMIT = 500


def tariff() -> tariff_pb2.Tariff:
    """Returns a tariff: 5 for the answer, and 3 for every 10 bytes beyond the first 20."""
    return tariff_pb2.Tariff(
        id="standard",
        asset=ASSET,
        prices=[
            tariff_pb2.UnitPrice(unit=tariff_pb2.PRICED_UNIT_REQUEST, price=5, per=1),
            tariff_pb2.UnitPrice(unit=tariff_pb2.PRICED_UNIT_OUTPUT_BYTE, price=3, per=10, included=20),
        ],
    )


def sealed_quote() -> SignedEnvelope:
    """Returns what the node asks of the asker for `units.convert`."""
    quote = payment_pb2.Quote(
        node_id=NODE.public_key,
        signing_key=SIGNING_KEY.public_key,
        card_digest=envelopes.envelope_digest(messages.sealed_card()),
        payer=ASKER.public_key,
        skill_id="units.convert",
        tariff=tariff(),
        window=20,
        max_charge=100,
        max_asks=10,
        total_max_charge=1000,
        rail_ids=[RAIL],
        hold_open=Duration(seconds=5),
        issue_time=timestamp(NOON),
        expire_time=timestamp(NOON + timedelta(minutes=10)),
    )
    return envelopes.seal(quote, seed=SIGNING_KEY.seed)


def sealed_terms() -> SignedEnvelope:
    """Returns the terms of a session in which the node lends the asker 500."""
    terms = payment_pb2.SessionTerms(
        payer=ASKER.public_key,
        payee=NODE.public_key,
        asset=ASSET,
        rail_id=RAIL,
        network="test",
        backing=tariff_pb2.BACKING_CREDIT,
        issuer=ASKER.public_key,
        credit_limit=CREDIT_LIMIT,
        salt=fixed_bytes("salt of the session", size=16),
    )
    return envelopes.seal(terms, seed=ASKER.seed)


def sealed_voucher(*, cumulative: int) -> SignedEnvelope:
    """Returns a voucher of that session over a total."""
    voucher = payment_pb2.Voucher(
        payer=ASKER.public_key, session_id=envelopes.envelope_digest(sealed_terms()), cumulative=cumulative
    )
    return envelopes.seal(voucher, seed=ASKER.seed)
