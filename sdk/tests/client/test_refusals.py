"""What a client does when the node says no: once more, elsewhere, later, or not at all."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from consilience.asks import ResumeAnswerCall
from consilience.client import Client
from consilience.client.backoff import FIRST_PAUSE_SECONDS
from consilience.envelopes import Signed
from consilience.errors import (
    AnswerTimeoutError,
    AnswerUnknownError,
    CallExpiredError,
    LimitExceededError,
    NodeDrainingError,
    NodeFaultError,
    ProtocolError,
    Redirect,
    RefusedError,
    RequestIdReusedError,
    SequenceUnknownError,
    StaleCardError,
    WrongReplicaError,
)
from consilience.nodes import Endpoint, TlsMode
from sdk.tests.client.scripted_nodes import AskCall, ScriptedNode, greet


async def test_a_stale_card_is_fetched_again_and_the_ask_signed_anew_under_its_request_id(
    client: Client, node: ScriptedNode
) -> None:
    old = await client.card(node.address)

    async def only_the_new_card(call: AskCall) -> AsyncIterator[bytes]:
        if call.ask.value.card_digest == old.digest:
            raise StaleCardError("that card is not honoured any more")
        async for encoded in greet(call):
            yield encoded

    node.on_ask = only_the_new_card
    node.publish()
    result = await client.ask("Hello?", node=node.address)
    assert result.node.value.sequence > old.value.sequence
    assert node.methods == ["GetNodeCard", "Ask", "GetNodeCard", "Ask"]
    assert list(node.logs) == [result.request_id]


async def test_a_card_that_is_always_stale_is_fetched_again_once(client: Client, node: ScriptedNode) -> None:
    async def stale(call: AskCall) -> AsyncIterator[bytes]:
        node.publish()
        raise StaleCardError("that card is not honoured any more")
        yield b""

    node.on_ask = stale
    with pytest.raises(StaleCardError):
        await client.ask("Hello?", node=node.address)
    assert node.methods == ["GetNodeCard", "Ask", "GetNodeCard", "Ask"]


async def test_a_card_that_is_called_stale_and_stays_the_same_is_refused(client: Client, node: ScriptedNode) -> None:
    async def stale(call: AskCall) -> AsyncIterator[bytes]:
        raise StaleCardError("that card is not honoured any more")
        yield b""

    node.on_ask = stale
    with pytest.raises(StaleCardError):
        await client.ask("Hello?", node=node.address)
    assert node.methods == ["GetNodeCard", "Ask", "GetNodeCard"]


async def test_a_wait_that_the_node_asks_for_is_kept(client: Client, node: ScriptedNode) -> None:
    refused = 0

    async def busy(call: AskCall) -> AsyncIterator[bytes]:
        nonlocal refused
        if not refused:
            refused += 1
            raise LimitExceededError("busy", retry_after=timedelta(milliseconds=100))
        async for encoded in greet(call):
            yield encoded

    node.on_ask = busy
    assert (await client.ask("Hello?", node=node.address)).text == "Hello, world."
    assert node.methods.count("Ask") == 2


@pytest.mark.parametrize("refusal", [LimitExceededError("too many readers"), NodeFaultError("the disk is slow")])
async def test_a_reader_that_comes_back_too_soon_tries_again(
    client: Client, node: ScriptedNode, refusal: RefusedError
) -> None:
    async def short(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()
        call.log.text("Here.")
        call.log.final()

    async def busy_at_first(call: Signed[ResumeAnswerCall]) -> AsyncIterator[bytes]:
        if node.methods.count("ResumeAnswer") < 3:
            raise refusal
        for encoded in node.logs[call.value.ask_request_id].after(call.value.after_sequence):
            yield encoded

    node.on_ask, node.on_resume = short, busy_at_first
    assert (await client.ask("Hello?", node=node.address)).text == "Here."


async def test_a_fault_before_acceptance_is_told_at_once(client: Client, node: ScriptedNode) -> None:
    async def fault(call: AskCall) -> AsyncIterator[bytes]:
        raise NodeFaultError("the disk is full")
        yield b""

    node.on_ask = fault
    with pytest.raises(NodeFaultError):
        await client.ask("Hello?", node=node.address)
    assert node.methods.count("Ask") == 1


async def test_a_wait_beyond_the_time_of_the_user_is_a_refusal_at_once(client: Client, node: ScriptedNode) -> None:
    async def draining(call: AskCall) -> AsyncIterator[bytes]:
        raise NodeDrainingError("later", retry_after=timedelta(minutes=5))
        yield b""

    node.on_ask = draining
    for timeout in (30, None):
        with pytest.raises(NodeDrainingError):
            await client.ask("Hello?", node=node.address, timeout=timeout)
    assert node.methods.count("Ask") == 2


async def test_a_redirect_is_followed_to_an_endpoint_of_the_card(client: Client, node: ScriptedNode) -> None:
    async with ScriptedNode(root=node.root, signing=node.signing) as replica:
        plain = Endpoint(uri=f"http://{replica.authority}", tls_mode=TlsMode.LOOPBACK_PLAIN)
        node.endpoints += (plain,)

        async def elsewhere(call: AskCall) -> AsyncIterator[bytes]:
            raise WrongReplicaError("not here", detail=Redirect(uri=plain.uri))
            yield b""

        node.on_ask = elsewhere
        assert (await client.ask("Hello?", node=node.address)).text == "Hello, world."
        assert (node.methods, replica.methods) == (["GetNodeCard", "Ask"], ["Ask"])


@pytest.mark.parametrize("detail", [None, Redirect(uri="http://127.0.0.1:1")])
async def test_a_redirect_out_of_the_card_is_not_followed(
    client: Client, node: ScriptedNode, detail: Redirect | None
) -> None:
    async def elsewhere(call: AskCall) -> AsyncIterator[bytes]:
        raise WrongReplicaError("not here", detail=detail)
        yield b""

    node.on_ask = elsewhere
    with pytest.raises(WrongReplicaError):
        await client.ask("Hello?", node=node.address)


async def test_a_redirect_in_a_circle_ends(client: Client, node: ScriptedNode) -> None:
    async def elsewhere(call: AskCall) -> AsyncIterator[bytes]:
        raise WrongReplicaError("not here", detail=Redirect(uri=node.endpoints[0].uri))
        yield b""

    node.on_ask = elsewhere
    with pytest.raises(WrongReplicaError):
        await client.ask("Hello?", node=node.address)


async def test_a_second_endpoint_of_the_card_takes_over_from_one_that_is_gone(client: Client) -> None:
    async with ScriptedNode() as first, ScriptedNode(root=first.root, signing=first.signing) as second:
        first.endpoints += (Endpoint(uri=f"http://{second.authority}", tls_mode=TlsMode.LOOPBACK_PLAIN),)
        await client.card(first.address)
        await first.stop()
        assert (await client.ask("Hello?", node=first.address)).text == "Hello, world."
        assert second.methods == ["Ask"]


async def test_a_node_that_forgot_the_answer_says_so(client: Client, node: ScriptedNode) -> None:
    async def forget(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()
        yield call.log.text("Well, ")
        del node.logs[call.ask.value.header.request_id]

    node.on_ask = forget
    with pytest.raises(AnswerUnknownError):
        await client.ask("Hello?", node=node.address)


async def test_a_node_that_lost_events_it_had_sent_breaks_the_log(client: Client, node: ScriptedNode) -> None:
    async def short(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()

    async def behind(call: Signed[ResumeAnswerCall]) -> AsyncIterator[bytes]:
        raise SequenceUnknownError("not so far")
        yield b""

    node.on_ask, node.on_resume = short, behind
    with pytest.raises(ProtocolError) as error:
        await client.ask("Hello?", node=node.address)
    assert error.value.requirement == "STRM-LOG-001"


async def test_a_request_id_that_is_bound_to_another_question_is_refused(client: Client, node: ScriptedNode) -> None:
    async def reused(call: AskCall) -> AsyncIterator[bytes]:
        raise RequestIdReusedError("another payload has this id")
        yield b""

    node.on_ask = reused
    with pytest.raises(RequestIdReusedError):
        await client.ask("Hello?", node=node.address, request_id=b"r" * 16)  # type: ignore[arg-type]


async def test_a_clock_that_is_wrong_is_told_and_not_worked_around(client: Client, node: ScriptedNode) -> None:
    async def expired(call: AskCall) -> AsyncIterator[bytes]:
        raise CallExpiredError("expired")
        yield b""

    node.on_ask = expired
    with pytest.raises(CallExpiredError):
        await client.ask("Hello?", node=node.address)
    assert node.methods == ["GetNodeCard", "Ask"]


async def test_a_node_that_says_at_once_is_not_asked_without_a_pause(client: Client, node: ScriptedNode) -> None:
    async def at_once(call: AskCall) -> AsyncIterator[bytes]:
        raise LimitExceededError("busy", retry_after=timedelta(0))
        yield b""

    node.on_ask = at_once
    with pytest.raises((LimitExceededError, AnswerTimeoutError)):
        await client.ask("Hello?", node=node.address, timeout=2)
    assert 1 < node.methods.count("Ask") <= 2 / FIRST_PAUSE_SECONDS + 1
