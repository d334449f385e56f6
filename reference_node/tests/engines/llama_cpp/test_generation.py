from __future__ import annotations

import pytest

from consilience_node.engines import Completion, Piece, Sampling, StopCause
from consilience_node.engines.llama_cpp.generation import Generation, Request
from consilience_node.engines.llama_cpp.token_choice import TokenChoice

TEXT = "naïve 日本 🧑‍🚀!"


def _generation(output_limit: int = 64) -> Generation:
    sampling = Sampling(max_output_tokens=output_limit)
    request = Request(
        id=1, prompt=(1, 2), sampling=sampling, output_limit=output_limit, grammar=None, share_prefix=True
    )
    return Generation(request, choice=TokenChoice(sampling))


def _play(generation: Generation, pieces: list[bytes]) -> tuple[list[Piece], Completion]:
    items = [generation.add_token(9, piece=piece, logprob=-1.0) for piece in pieces]
    *rest, completion = generation.end(StopCause.END)
    assert isinstance(completion, Completion)
    return [item for item in (*items, *rest) if isinstance(item, Piece)], completion


@pytest.mark.parametrize("cut", range(len(TEXT.encode()) + 1))
def test_text_cut_at_any_byte_arrives_whole(cut: int) -> None:
    data = TEXT.encode()
    pieces, completion = _play(_generation(), [part for part in (data[:cut], data[cut:]) if part])
    assert "".join(piece.text for piece in pieces) == TEXT
    assert sum(piece.tokens for piece in pieces) == completion.output_tokens == 2 - (cut in {0, len(data)})


def test_one_byte_per_token_never_shows_a_part_of_a_character() -> None:
    pieces, completion = _play(_generation(), [bytes([byte]) for byte in TEXT.encode()])
    assert [piece.text for piece in pieces] == list(TEXT)
    assert completion.output_tokens == len(TEXT.encode())


def test_character_that_never_became_whole_is_replaced_at_the_end() -> None:
    pieces, completion = _play(_generation(), [b"ok ", b"\xe2\x82"])
    assert [piece.text for piece in pieces] == ["ok ", "\ufffd"]
    assert completion.output_tokens == 2


def test_output_is_full_at_its_limit() -> None:
    generation = _generation(output_limit=2)
    generation.add_token(5, piece=b"a", logprob=-1.0)
    assert not generation.output_full
    generation.add_token(6, piece=b"b", logprob=-1.0)
    assert generation.output_full
    assert generation.tokens.tolist() == [1, 2, 5, 6]
