from __future__ import annotations

import asyncio

import pytest

from consilience_node.engines import Completion, EngineUnavailable, Piece, StopCause
from consilience_node.engines.llama_cpp.mailbox import Mailbox

COMPLETION = Completion(prompt_tokens=1, cached_prompt_tokens=0, output_tokens=2, stop=StopCause.END)


def _piece(text: str, logprob: float | None = -0.5) -> Piece:
    return Piece(text=text, tokens=1, logprob=logprob)


async def test_what_a_slow_reader_left_lying_comes_as_one_piece() -> None:
    mailbox = Mailbox()
    for item in (_piece("a"), _piece("b"), COMPLETION):
        mailbox.put(item)
    assert await mailbox.take() == Piece(text="ab", tokens=2, logprob=-1.0)
    assert await mailbox.take() == COMPLETION


async def test_joined_piece_has_a_log_probability_only_if_all_have() -> None:
    mailbox = Mailbox()
    mailbox.put(_piece("a"))
    mailbox.put(_piece("b", logprob=None))
    assert await mailbox.take() == Piece(text="ab", tokens=2, logprob=None)


async def test_waiting_reader_gets_each_piece_as_it_comes() -> None:
    mailbox = Mailbox()
    reader = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    mailbox.put(_piece("a"))
    assert await reader == _piece("a")


async def test_error_comes_after_the_text_before_it() -> None:
    mailbox = Mailbox()
    mailbox.put(_piece("a"))
    mailbox.put(EngineUnavailable("gone"))
    assert await mailbox.take() == _piece("a")
    with pytest.raises(EngineUnavailable, match="gone"):
        await mailbox.take()
