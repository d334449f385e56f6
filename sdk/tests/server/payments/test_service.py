"""What all methods of PaymentService have in common: what comes before the work, and how they stand on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import grpc
import pytest
from grpc import StatusCode, aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from consilience._wire import payments as wire
from consilience._wire import services
from consilience._wire.envelopes import open_envelope, seal
from consilience._wire.errors import error_from_rpc
from consilience._wire.services import PAYMENT_SERVICE
from consilience.calls import CallHeader
from consilience.errors import (
    LimitExceeded,
    LimitExceededError,
    ModelUnknownError,
    ProtocolError,
    RefusedError,
    ServerTime,
    SessionUnknownError,
    SkillUnknownError,
    TermsRefusedError,
)
from consilience.identity import KeyPair
from consilience.payments import (
    ACKNOWLEDGE_METHOD,
    CLOSE_METHOD,
    CONFIRM_METHOD,
    GET_SESSION_METHOD,
    LIST_METHOD,
    OPEN_METHOD,
    QUOTE_METHOD,
    WITHDRAW_METHOD,
    AcknowledgeReceiptCall,
    CloseSessionCall,
    ConfirmDepositCall,
    GetQuoteCall,
    GetSessionCall,
    ListReceiptsCall,
    OpenSessionCall,
    PaymentCall,
    SessionState,
    WithdrawCall,
)
from consilience.server import Node
from consilience.server.observers import SilentObserver
from consilience.server.payments.service import PaymentService
from consilience.server.store.ledger import PayingStore
from consilience.server.transport import make_server
from consilience.units import Digest, PublicKey, RequestId
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.payments.tellers import TARIFF, Payer, Teller, teller

OF: dict[str, Any] = {"session_id": Digest(b"s" * 32)}


@dataclass(frozen=True)
class Method:
    """A method of the service, and a call for it that is in order but for its time and its session."""

    name: str
    method: str
    make: Callable[[CallHeader, Payer], PaymentCall]

    def of(self, service: PaymentService) -> Callable[[bytes], Awaitable[bytes]]:
        found: Callable[[bytes], Awaitable[bytes]] = getattr(service, self.name)
        return found


METHODS = (
    Method("get_quote", QUOTE_METHOD, lambda header, _: GetQuoteCall(header=header, skill_id="echo")),
    Method(
        "open_session", OPEN_METHOD, lambda header, payer: OpenSessionCall(header=header, terms=payer.terms().envelope)
    ),
    Method(
        "confirm_deposit",
        CONFIRM_METHOD,
        lambda header, _: ConfirmDepositCall(header=header, deposit_id=b"d" * 16, **OF),
    ),
    Method("get_session", GET_SESSION_METHOD, lambda header, _: GetSessionCall(header=header, **OF)),
    Method(
        "acknowledge_receipt",
        ACKNOWLEDGE_METHOD,
        lambda header, _: AcknowledgeReceiptCall(
            header=header, receipt_digest=Digest(bytes(32)), session_spent=0, **OF
        ),
    ),
    Method("list_receipts", LIST_METHOD, lambda header, _: ListReceiptsCall(header=header, **OF)),
    Method(
        "withdraw",
        WITHDRAW_METHOD,
        lambda header, _: WithdrawCall(header=header, withdrawal_id=b"w" * 16, amount=1, **OF),
    ),
    Method("close_session", CLOSE_METHOD, lambda header, _: CloseSessionCall(header=header, **OF)),
)


async def reason_of(payer: Payer, method: Method, request: bytes) -> str:
    with pytest.raises(RefusedError) as refused:
        await method.of(payer.service)(request)
    if refused.value.reason.startswith("CALL_"):
        assert refused.value.detail == ServerTime(server_time=payer.teller.clock.now)
    return refused.value.reason


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
async def test_every_call_goes_through_the_same_checks_in_the_same_order(payer: Payer, method: Method) -> None:
    """Breaks one check after the other, from the last to the first: each time the reason is that of the new one."""
    late = payer.teller.clock.now + timedelta(minutes=10)
    header = payer.header(method.method, issue_time=late, expire_time=late + timedelta(minutes=1))

    def request(header: CallHeader, **changes: Any) -> bytes:
        envelope = seal(method.make(header, payer), signer=payer.key).envelope
        return services.encode_request(replace(envelope, **changes))

    async def reason(request: bytes) -> str:
        return await reason_of(payer, method, request)

    assert await reason(request(header)) == "CALL_NOT_YET_VALID"
    early = replace(header, issue_time=late - timedelta(minutes=20), expire_time=late - timedelta(minutes=11))
    assert await reason(request(early)) == "CALL_EXPIRED"
    header = replace(header, required_extensions=("https://example.org/unknown",))
    assert await reason(request(header)) == "EXTENSION_UNSUPPORTED"
    header = replace(header, audience=payer.key.public_key)
    assert await reason(request(header)) == "AUDIENCE_WRONG"
    header = replace(header, method="consilience.v1.PaymentService/Another")
    assert await reason(request(header)) == "METHOD_WRONG"
    header = replace(header, request_id=RequestId(b"short"))
    assert await reason(request(header)) == "FIELD_INVALID"
    header = replace(header, caller=PublicKey(b"x" * 32))
    assert await reason(request(header)) == "SIGNER_WRONG"
    assert await reason(request(header, signature=bytes(64))) == "SIGNATURE_INVALID"
    assert await reason(request(header, signature=b"")) == "SIGNATURE_MISSING"
    assert await reason(request(header, signature=b"", payload_type="consilience.v1.Ask")) == "PAYLOAD_TYPE_WRONG"
    assert await reason(b"") == "ENVELOPE_MALFORMED"
    assert await reason(b"\xff") == "ENVELOPE_MALFORMED"
    assert await reason(b"\xff" * (4 * 1024 * 1024 + 1)) == "LIMIT_EXCEEDED"


async def test_a_voucher_needs_no_header_and_is_measured_and_read_like_every_call(payer: Payer) -> None:
    session_id = await payer.funded(100)
    payer.teller.clock.advance(timedelta(days=1))
    assert (await payer.submit(payer.voucher(session_id, 5))).authorized == 5
    for request, reason in ((b"", "ENVELOPE_MALFORMED"), (b"\xff" * (4 * 1024 * 1024 + 1), "LIMIT_EXCEEDED")):
        with pytest.raises(RefusedError) as refused:
            await payer.service.submit_voucher(request)
        assert refused.value.reason == reason


# Quotes.


async def test_a_quote_is_made_to_the_caller_and_rests_on_the_card(payer: Payer) -> None:
    quote = (await payer.quote()).value
    assert (quote.payer, quote.skill_id, quote.tariff) == (payer.key.public_key, "echo", TARIFF)
    assert quote.card_digest == payer.service.cards.current.digest
    assert (await payer.quote("free")).value.tariff is None


@pytest.mark.parametrize(
    ("wanted", "kind"),
    [
        ({"skill_id": "none"}, SkillUnknownError),
        ({"model_id": "none"}, ModelUnknownError),
        ({"asset": "USD/6"}, TermsRefusedError),
    ],
)
async def test_what_there_is_not_has_no_price(payer: Payer, wanted: dict[str, Any], kind: type[RefusedError]) -> None:
    with pytest.raises(kind):
        await payer.quote(**wanted)


async def test_one_quote_more_than_a_minute_allows_is_refused_and_another_caller_gets_one(payer: Payer) -> None:
    for _ in range(5):
        await payer.quote()
    with pytest.raises(LimitExceededError) as refused:
        await payer.quote()
    assert refused.value.detail == LimitExceeded(limit="max_quotes_per_minute", maximum=5, requested=6)
    assert refused.value.retry_after == timedelta(minutes=1)
    await payer.teller.payer().quote()
    payer.teller.clock.advance(timedelta(minutes=1))
    await payer.quote()


# On the wire.


@dataclass(frozen=True)
class Served:
    """A server on a port of this machine."""

    channel: aio.Channel
    target: str

    async def call(self, method: str, request: bytes) -> bytes:
        unary: aio.UnaryUnaryMultiCallable[bytes, bytes] = self.channel.unary_unary(f"/{method}")
        try:
            return await unary(request, timeout=20)
        except aio.AioRpcError as error:
            raise error_from_rpc(error) from error


async def serve(node: Node, payments: PaymentService | None) -> tuple[aio.Server, Served]:
    running = node.serving("127.0.0.1:0")
    server, health = make_server(asks=running._asks, cards=running._cards, observer=SilentObserver(), payments=payments)
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await health.serving()
    await server.start()
    return server, Served(aio.insecure_channel(target), target)


async def test_every_method_is_served_and_refuses_with_a_reason(payer: Payer, node: Node) -> None:
    server, served = await serve(node, payer.service)
    async with served.channel:
        session_id = await payer.funded(100)
        answered = await served.call(
            "consilience.v1.PaymentService/SubmitVoucher", services.encode_request(payer.voucher(session_id, 5))
        )
        assert open_envelope(wire.decode_state(answered), SessionState).value.authorized == 5
        for method in METHODS:
            call = method.make(payer.header(method.method), payer)
            request = services.encode_request(seal(call, signer=payer.key).envelope)
            if method.method in (QUOTE_METHOD, OPEN_METHOD):
                assert await served.call(method.method, request)
            else:
                with pytest.raises(SessionUnknownError):
                    await served.call(method.method, request)
        stub: Any = health_pb2_grpc.HealthStub(served.channel)
        for service in ("", PAYMENT_SERVICE):
            told = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            assert told.status == health_pb2.HealthCheckResponse.SERVING
        await server.stop(None)


async def test_an_address_moves_money_so_often_and_no_more_under_however_many_keys(
    store: PayingStore, key: KeyPair, clock: ManualClock, node: Node
) -> None:
    async with teller(store, key=key, clock=clock, transfers_per_minute=3) as strict:
        server, served = await serve(node, strict.service)
        async with served.channel:
            moving = [method for method in METHODS if method.method in (OPEN_METHOD, CONFIRM_METHOD, WITHDRAW_METHOD)]
            assert len(moving) == 3
            for method in moving:
                with suppress(SessionUnknownError):
                    await served.call(method.method, _request(method, payer=strict.payer()))
            for method in moving:
                with pytest.raises(LimitExceededError) as refused:
                    await served.call(method.method, _request(method, payer=strict.payer()))
                assert refused.value.detail == LimitExceeded(limit="max_transfers_per_minute", maximum=3, requested=4)
                assert refused.value.retry_after is not None
            for method in METHODS:
                if method not in moving:
                    with suppress(SessionUnknownError):
                        await served.call(method.method, _request(method, payer=strict.payer()))
            clock.advance(timedelta(minutes=1))
            with pytest.raises(SessionUnknownError):
                await served.call(WITHDRAW_METHOD, _request(moving[-1], payer=strict.payer()))
            await server.stop(None)


def _request(method: Method, *, payer: Payer) -> bytes:
    call = method.make(payer.header(method.method), payer)
    return services.encode_request(seal(call, signer=payer.key).envelope)


async def test_a_server_with_payments_shows_them_by_reflection(node_teller: Teller, node: Node) -> None:
    server, served = await serve(node, node_teller.service)
    async with served.channel:
        with grpc.insecure_channel(served.target) as channel:
            database = ProtoReflectionDescriptorDatabase(channel)
            listed = await asyncio.to_thread(database.get_services)
        assert PAYMENT_SERVICE in listed
        await server.stop(None)


async def test_a_server_without_payments_implements_none_of_their_methods(
    node: Node, key: KeyPair, payer: Payer
) -> None:
    server, served = await serve(node, None)
    async with served.channel:
        for method in METHODS:
            with pytest.raises(ProtocolError, match="NODE-PROF-001") as refused:
                await served.call(method.method, b"")
            assert isinstance(refused.value.__cause__, aio.AioRpcError)
            assert refused.value.__cause__.code() is StatusCode.UNIMPLEMENTED
        stub: Any = health_pb2_grpc.HealthStub(served.channel)
        with pytest.raises(aio.AioRpcError):
            await stub.Check(health_pb2.HealthCheckRequest(service=PAYMENT_SERVICE))
        await server.stop(None)
