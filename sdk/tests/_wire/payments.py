"""Everything that payments send, with every field set: what the converter must not lose."""

from datetime import timedelta
from typing import Any

from consilience import asks, calls, payments
from consilience._wire import envelopes
from consilience.tariffs import Backing
from consilience.units import Digest, EncodedAny, RequestId
from sdk.tests._wire.chains import NOW, Chain, full_tariff, make_chain

SESSION = Digest(b"s" * 32)
DETAIL = EncodedAny(b"\n\x13type.example/Detail\x12\x02\x08\x01")


def header_of(chain: Chain, method: str) -> calls.CallHeader:
    """Returns the header of a call with every field set."""
    return calls.CallHeader(
        method=method,
        audience=chain.node.public_key,
        caller=chain.asker.public_key,
        request_id=RequestId(b"r" * 16),
        issue_time=NOW,
        expire_time=NOW + timedelta(minutes=2),
        required_extensions=("https://example.org/x",),
        extensions={"https://example.org/x": b"\n\x01t\x12\x01v"},
    )


def full_terms(chain: Chain) -> payments.SessionTerms:
    """Returns the terms of a session on credit: the only ones that leave no field unset."""
    return payments.SessionTerms(
        payer=chain.asker.public_key,
        payee=chain.node.public_key,
        asset="TEST/0",
        rail_id="hold.v1",
        network="test",
        backing=Backing.CREDIT,
        issuer=chain.asker.public_key,
        credit_limit=100,
        salt=b"t" * 16,
    )


def full_voucher(chain: Chain) -> payments.Voucher:
    """Returns a voucher."""
    return payments.Voucher(payer=chain.asker.public_key, session_id=SESSION, cumulative=20)


def full_calls(chain: Chain) -> dict[str, payments.PaymentCall]:
    """Returns each signed call, by the name of its message."""
    session: dict[str, Any] = {"session_id": SESSION}
    made: list[payments.PaymentCall] = [
        payments.GetQuoteCall(
            header=header_of(chain, payments.QUOTE_METHOD), skill_id="define", model_id="smollm2", asset="TEST/0"
        ),
        payments.OpenSessionCall(
            header=header_of(chain, payments.OPEN_METHOD),
            terms=envelopes.seal(full_terms(chain), signer=chain.asker).envelope,
            deposit_id=b"d" * 16,
            deposit=50,
        ),
        payments.ConfirmDepositCall(
            header=header_of(chain, payments.CONFIRM_METHOD), deposit_id=b"d" * 16, proof=DETAIL, **session
        ),
        payments.GetSessionCall(header=header_of(chain, payments.GET_SESSION_METHOD), **session),
        payments.AcknowledgeReceiptCall(
            header=header_of(chain, payments.ACKNOWLEDGE_METHOD),
            receipt_digest=Digest(b"e" * 32),
            session_spent=9,
            **session,
        ),
        payments.ListReceiptsCall(
            header=header_of(chain, payments.LIST_METHOD), after_number=3, page_size=10, **session
        ),
        payments.WithdrawCall(
            header=header_of(chain, payments.WITHDRAW_METHOD),
            withdrawal_id=b"w" * 16,
            amount=5,
            destination=DETAIL,
            **session,
        ),
        payments.CloseSessionCall(header=header_of(chain, payments.CLOSE_METHOD), **session),
    ]
    return {type(call).__name__: call for call in made}


def full_payments() -> dict[str, Any]:
    """Returns each object and call, by the name of its message."""
    chain = make_chain()
    signed: dict[str, Any] = {"node_id": chain.node.public_key, "signing_key": chain.node.public_key}
    named: dict[str, Any] = {
        "session_id": SESSION,
        "ask_digest": chain.ask.digest,
        "quote_digest": Digest(b"o" * 32),
        "usage": full_usage(),
        "charge": 9,
    }
    objects: list[Any] = [
        payments.Quote(
            **signed,
            card_digest=chain.card.digest,
            payer=chain.asker.public_key,
            skill_id="define",
            model_id="smollm2",
            tariff=full_tariff(),
            window=20,
            max_charge=100,
            max_asks=10,
            total_max_charge=1000,
            rail_ids=("hold.v1",),
            hold_open=timedelta(seconds=5),
            issue_time=NOW,
            expire_time=NOW + timedelta(minutes=10),
        ),
        full_terms(chain),
        full_voucher(chain),
        full_state(chain),
        payments.Meter(**signed, **named, transcript_digest=Digest(b"t" * 32), required_cumulative=29, issue_time=NOW),
        payments.Receipt(
            **signed,
            **named,
            number=2,
            previous_digest=b"p" * 32,
            payer=chain.asker.public_key,
            request_id=RequestId(b"r" * 16),
            answer_digest=chain.answer.digest,
            asset="TEST/0",
            session_spent=20,
            session_authorized=40,
            session_refunded=9,
            outcome=asks.Outcome.ANSWERED,
            start_time=NOW,
            finish_time=NOW + timedelta(seconds=1),
            backing=Backing.CREDIT,
            issuer=chain.asker.public_key,
            funding_commitment=b"f" * 32,
            refund_of=b"b" * 32,
        ),
        payments.Hold(
            issuer=chain.node.public_key, session_id=SESSION, deposit_id=b"d" * 16, amount=50, expire_time=NOW
        ),
        payments.HoldRelease(**signed, session_id=SESSION, withdrawal_id=b"w" * 16, amount=5),
        payments.DepositInstruction(deposit_id=b"d" * 16, amount=50, detail=DETAIL, expire_time=NOW),
    ]
    return {type(value).__name__: value for value in objects} | full_calls(chain)


def full_usage() -> asks.Usage:
    """Returns a usage of every unit."""
    return asks.Usage(
        input_tokens=9,
        cached_input_tokens=4,
        output_tokens=3,
        hidden_tokens=2,
        output_bytes=33,
        duration=timedelta(seconds=1, microseconds=5),
    )


def full_state(chain: Chain) -> payments.SessionState:
    """Returns the state of a session that has seen everything."""
    return payments.SessionState(
        node_id=chain.node.public_key,
        signing_key=chain.node.public_key,
        session_id=SESSION,
        status=payments.SessionStatus.CLOSING,
        deposited=50,
        authorized=40,
        spent=20,
        reserved=5,
        refunded=9,
        withdrawn=6,
        credit_limit=100,
        receipt_count=2,
        last_receipt_digest=b"e" * 32,
        voucher=envelopes.seal(full_voucher(chain), signer=chain.asker).envelope,
        issue_time=NOW,
    )
