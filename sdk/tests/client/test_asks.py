import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consilience._wire.envelopes import seal
from consilience.asks import Accepted, Final, OnDisconnect, Outcome, Progress, Role, StopReason, TextDelta, Turn
from consilience.client import Client
from consilience.errors import (
    AnswerTimeoutError,
    AnswerTooLargeError,
    AnswerUnknownError,
    FirstTokenTimeoutError,
    LimitExceededError,
    ProtocolError,
    SkillUnknownError,
    Supported,
    UsageError,
)
from consilience.identity import KeyPair
from consilience.units import Digest, Sequence, utc_now
from sdk.tests.client.scripted_nodes import AskCall, AskScript, ScriptedNode, greet


async def stall_before_text(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    await asyncio.Event().wait()


async def stall_after_text(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    yield call.log.text("Well, ")
    await asyncio.Event().wait()


async def babble(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    while True:
        yield call.log.text("and ")
        await asyncio.sleep(0.001)


async def test_an_ask_is_one_call_once_the_card_is_held(client: Client, node: ScriptedNode) -> None:
    await client.card(node.address)
    result = await client.ask("Hello?", node=node.address)
    assert result.text == "Hello, world."
    assert result.outcome is Outcome.ANSWERED
    assert node.methods == ["GetNodeCard", "Ask"]


async def test_a_result_carries_what_the_node_signed(client: Client, node: ScriptedNode) -> None:
    result = await client.ask("Hello?", node=node.address)
    assert result.answer.value.ask_digest == node.logs[result.request_id].ask.digest
    assert result.node.digest == node.card().digest
    assert (result.confidence, result.citations, result.model, result.intake) == (None, (), None, None)
    assert result.stop_reason is StopReason.COMPLETE
    assert result.usage.output_bytes == len(b"Hello, world.")
    assert result.detail == ""


async def test_an_ask_carries_what_its_user_said(client: Client, node: ScriptedNode) -> None:
    result = await client.ask(
        [
            Turn(role=Role.ASKER, parts=("Hi.",)),
            Turn(role=Role.NODE, parts=("Yes?",)),
            Turn(role=Role.ASKER, parts=("!",)),
        ],
        node=node.address,
        skill="other",
        max_output_tokens=7,
        max_hidden_tokens=3,
        model="m",
        allow_truncation=True,
        on_disconnect=OnDisconnect.CANCEL,
    )
    ask = node.logs[result.request_id].ask.value
    assert ask.skill_id == "other"
    assert [turn.text for turn in ask.turns] == ["Hi.", "Yes?", "!"]
    assert (ask.limits.max_output_tokens, ask.limits.max_hidden_tokens) == (7, 3)
    assert (ask.model_id, ask.allow_truncation, ask.on_disconnect) == ("m", True, OnDisconnect.CANCEL)


async def test_an_ask_without_a_skill_names_the_first_of_the_card(client: Client, node: ScriptedNode) -> None:
    result = await client.ask("Hello?", node=node.address)
    assert node.logs[result.request_id].ask.value.skill_id == "greet"


async def test_text_arrives_as_it_is_written(client: Client, node: ScriptedNode) -> None:
    release = asyncio.Event()

    async def two_steps(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()
        yield call.log.text("first")
        await release.wait()
        yield call.log.text("second")
        yield call.log.final()

    node.on_ask = two_steps
    async with client.stream("Hello?", node=node.address) as stream:
        assert await anext(stream) == "first"
        assert stream.text == "first"
        release.set()
        assert [text async for text in stream] == ["second"]
        assert (await stream.final()).text == "firstsecond"


async def test_events_are_everything_from_accepted_to_final(client: Client, node: ScriptedNode) -> None:
    async with client.stream("Hello?", node=node.address) as stream:
        kinds = [type(entry.event) async for entry in stream.events()]
    assert kinds == [Accepted, TextDelta, TextDelta, Final]


async def test_a_stream_goes_on_from_text_to_events_where_it_was(client: Client, node: ScriptedNode) -> None:
    async with client.stream("Hello?", node=node.address) as stream:
        assert await anext(stream) == "Hello, "
        assert [entry.sequence async for entry in stream.events()] == [3, 4]


async def test_a_stream_that_was_not_entered_says_how_to_use_it(client: Client, node: ScriptedNode) -> None:
    with pytest.raises(UsageError, match="async with"):
        await anext(client.stream("Hello?", node=node.address))


async def test_a_stream_that_ended_is_not_cancelled(client: Client, node: ScriptedNode) -> None:
    async with client.stream("Hello?", node=node.address) as stream:
        await stream.final()
    assert "CancelAnswer" not in node.methods


async def test_leaving_the_block_early_cancels_the_ask_at_the_node(client: Client, node: ScriptedNode) -> None:
    node.on_ask = babble
    async with client.stream("Hello?", node=node.address) as stream:
        async for _ in stream:
            break
    assert node.methods[-1] == "CancelAnswer"
    assert node.logs[stream.request_id].final_answer is not None


async def test_an_error_in_the_block_cancels_the_ask_and_comes_through(client: Client, node: ScriptedNode) -> None:
    node.on_ask = babble
    with pytest.raises(ZeroDivisionError):
        async with client.stream("Hello?", node=node.address):
            1 / 0  # noqa: B018
    assert node.methods[-1] == "CancelAnswer"


async def test_cancelling_the_task_cancels_the_ask_at_the_node(client: Client, node: ScriptedNode) -> None:
    node.on_ask = stall_after_text
    task = asyncio.create_task(client.ask("Hello?", node=node.address))
    await node.called["Ask"].wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert node.methods[-1] == "CancelAnswer"


async def test_a_second_cancellation_does_not_wait_and_the_node_is_told_all_the_same(
    client: Client, node: ScriptedNode
) -> None:
    node.on_ask = stall_after_text
    release = asyncio.Event()
    cancelled = asyncio.Event()

    async def slow_cancel(_: object) -> bytes:
        await release.wait()
        cancelled.set()
        raise node.answer_unknown()

    node.on_cancel = slow_cancel
    task = asyncio.create_task(client.ask("Hello?", node=node.address))
    await node.called["Ask"].wait()
    task.cancel()
    await node.called["CancelAnswer"].wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    await client.close()
    assert cancelled.is_set()


async def test_a_node_that_never_answers_the_cancellation_holds_nobody_up(client: Client, node: ScriptedNode) -> None:
    async def never(_: object) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError

    node.on_ask, node.on_cancel = babble, never
    async with asyncio.timeout(20):
        async with client.stream("Hello?", node=node.address):
            pass
    assert node.methods[-1] == "CancelAnswer"


async def test_a_detached_stream_leaves_the_work_running(client: Client, node: ScriptedNode) -> None:
    node.on_ask = stall_after_text
    async with client.stream("Hello?", node=node.address) as stream:
        request_id = stream.detach()
    assert "CancelAnswer" not in node.methods
    node.logs[request_id].final()
    async with client.resume(request_id, node=node.address) as resumed:
        assert (await resumed.final()).text == "Well, "


async def test_cancel_ends_the_answer_and_the_stream_reads_on_to_its_end(client: Client, node: ScriptedNode) -> None:
    async def until_cancelled(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()
        yield call.log.text("Well, ")
        await call.log.ended.wait()
        yield call.log.after(2)[0]

    node.on_ask = until_cancelled
    async with client.stream("Hello?", node=node.address) as stream:
        assert await anext(stream) == "Well, "
        answer = await stream.cancel()
        result = await stream.final()
    assert answer.value.outcome is Outcome.CANCELLED
    assert result.answer.digest == answer.digest
    assert node.methods.count("CancelAnswer") == 1


async def test_no_text_in_time_is_an_error_of_its_own_and_cancels_the_ask(client: Client, node: ScriptedNode) -> None:
    node.on_ask = stall_before_text
    await client.card(node.address)
    with pytest.raises(FirstTokenTimeoutError):
        await client.ask("Hello?", node=node.address, first_token_timeout=2)
    assert node.methods[-1] == "CancelAnswer"


async def test_text_in_time_ends_the_wait_for_the_first(client: Client, node: ScriptedNode) -> None:
    async def slow(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()
        yield call.log.text("Well, ")
        await asyncio.sleep(2.2)
        yield call.log.final()

    node.on_ask = slow
    await client.card(node.address)
    result = await client.ask("Hello?", node=node.address, first_token_timeout=2)
    assert result.text == "Well, "


@pytest.mark.parametrize("script", [stall_before_text, stall_after_text, babble])
async def test_an_answer_that_takes_too_long_is_an_error_and_cancels_the_ask(
    client: Client, node: ScriptedNode, script: object
) -> None:
    node.on_ask = script  # type: ignore[assignment]
    await client.card(node.address)
    with pytest.raises(AnswerTimeoutError):
        await client.ask("Hello?", node=node.address, timeout=2)
    assert node.methods[-1] == "CancelAnswer"


async def test_the_time_that_the_user_takes_between_two_reads_does_not_count(
    client: Client, node: ScriptedNode
) -> None:
    await client.card(node.address)
    async with client.stream("Hello?", node=node.address, timeout=2, first_token_timeout=2) as stream:
        texts = []
        while text := await anext(stream, None):
            texts.append(text)
            await asyncio.sleep(2.2)
        assert (await stream.final()).text == "Hello, world."
    assert texts == ["Hello, ", "world."]
    assert node.methods == ["GetNodeCard", "Ask"]


async def test_after_the_user_took_time_the_node_is_given_what_is_left(client: Client, node: ScriptedNode) -> None:
    node.on_ask = stall_after_text
    await client.card(node.address)
    async with client.stream("Hello?", node=node.address, timeout=2) as stream:
        await anext(stream)
        await asyncio.sleep(2.2)
        async with asyncio.timeout(20):
            with pytest.raises(AnswerTimeoutError, match=r"within 2 s of waiting"):
                await anext(stream)
    assert node.methods[-1] == "CancelAnswer"


async def test_a_time_out_inside_the_block_cancels_at_once(client: Client, node: ScriptedNode) -> None:
    node.on_ask = stall_after_text
    await client.card(node.address)
    async with client.stream("Hello?", node=node.address, timeout=1) as stream:
        with pytest.raises(AnswerTimeoutError):
            await stream.final()
        async with asyncio.timeout(10):
            await node.called["CancelAnswer"].wait()
        with pytest.raises(AnswerTimeoutError):
            await anext(stream)


async def test_a_silent_node_is_given_up_in_time(client: Client, node: ScriptedNode) -> None:
    async def silent(call: AskCall) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    node.on_ask = silent
    with pytest.raises(AnswerTimeoutError):
        await client.ask("Hello?", node=node.address, timeout=0.3)


async def test_an_ask_carries_a_deadline_behind_the_patience_of_its_user(client: Client, node: ScriptedNode) -> None:
    result = await client.ask("Hello?", node=node.address, timeout=20)
    ask = node.logs[result.request_id].ask.value
    assert ask.limits.deadline is not None
    assert 40 < (ask.limits.deadline - ask.header.issue_time).total_seconds() <= 50


async def test_a_deadline_beyond_what_the_node_runs_is_left_out(client: Client, node: ScriptedNode) -> None:
    for timeout in (580, None):
        result = await client.ask("Hello?", node=node.address, timeout=timeout)
        assert node.logs[result.request_id].ask.value.limits.deadline is None


async def test_a_refusal_comes_with_its_reason_and_nothing_is_cancelled(client: Client, node: ScriptedNode) -> None:
    async def refuse(call: AskCall) -> AsyncIterator[bytes]:
        raise SkillUnknownError("no", detail=Supported(field="skill_id", values=("greet",)))
        yield b""

    node.on_ask = refuse
    with pytest.raises(SkillUnknownError) as refusal:
        await client.ask("Hello?", node=node.address)
    assert refusal.value.detail == Supported(field="skill_id", values=("greet",))
    assert node.methods == ["GetNodeCard", "Ask"]


async def test_an_ask_beyond_what_the_node_reads_is_not_sent(client: Client, node: ScriptedNode) -> None:
    with pytest.raises(LimitExceededError, match="nothing was sent"):
        await client.ask("x" * 66000, node=node.address)
    assert node.methods == ["GetNodeCard"]


async def test_get_tells_what_there_is_now(client: Client, node: ScriptedNode) -> None:
    result = await client.ask("Hello?", node=node.address)
    snapshot = await client.get(result.request_id, node=node.address)
    assert (snapshot.text, snapshot.last_sequence) == ("Hello, world.", 4)
    assert snapshot.final is not None


@pytest.mark.parametrize(
    ("changes", "requirement"),
    [
        ({"transcript_digest": Digest(bytes(32))}, "STRM-TXT-002"),
        ({"final_sequence": Sequence(9)}, "STRM-LOG-003"),
        ({"finish_time": utc_now() + timedelta(days=1)}, "ASK-ANS-001"),
        ({"node_id": KeyPair.generate().public_key}, "ASK-ANS-002"),
    ],
)
async def test_what_get_tells_of_a_finished_answer_is_verified(
    client: Client, node: ScriptedNode, changes: dict[str, Any], requirement: str
) -> None:
    result = await client.ask("Hello?", node=node.address)
    log = node.logs[result.request_id]
    log.transcript.final = Final(answer=seal(replace(result.answer.value, **changes), signer=node.signing))
    with pytest.raises(ProtocolError) as error:
        await client.get(result.request_id, node=node.address)
    assert error.value.requirement == requirement


async def test_an_answer_that_is_not_there_is_refused(client: Client, node: ScriptedNode) -> None:
    nothing = bytes(16)
    with pytest.raises(AnswerUnknownError):
        await client.get(nothing, node=node.address)  # type: ignore[arg-type]
    with pytest.raises(AnswerUnknownError):
        await client.cancel(nothing, node=node.address)  # type: ignore[arg-type]
    with pytest.raises(AnswerUnknownError):
        async with client.resume(nothing, node=node.address):  # type: ignore[arg-type]
            pass


async def test_many_asks_at_once_share_one_connection(client: Client, node: ScriptedNode) -> None:
    node.on_ask = greet
    results = await asyncio.gather(*(client.ask("Hello?", node=node.address) for _ in range(20)))
    assert {result.text for result in results} == {"Hello, world."}
    assert len({call.peer for call in node.calls}) == 1
    assert node.methods.count("GetNodeCard") == 1


async def chatter(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    while True:
        yield call.log.add(Progress(message="still at it"))


@pytest.mark.parametrize("endless", [babble, chatter])
async def test_an_answer_without_end_is_cancelled_where_nobody_bounds_its_time(
    card_file: Path, node: ScriptedNode, endless: AskScript
) -> None:
    node.on_ask = endless
    async with Client(KeyPair.generate(), card_file=card_file, max_answer_bytes=10_000) as client:
        with pytest.raises(AnswerTooLargeError, match="10000 bytes"):
            await client.ask("Hello?", node=node.address, timeout=None)
    assert node.methods[-1] == "CancelAnswer"
