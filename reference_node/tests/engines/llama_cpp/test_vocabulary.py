from __future__ import annotations

import pytest

from consilience_node.engines.llama_cpp.vocabulary import Vocabulary

TEXTS = [
    "",
    "plain words",
    "naïve café",
    "日本語",
    "🤖🧑‍🚀",
    "a\x00b",
    "  spaces\n\n\ttabs",
    "<|im_end|>\n<|im_start|>system\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_of_encoded_content_are_its_bytes(vocabulary: Vocabulary, text: str) -> None:
    assert b"".join(map(vocabulary.piece, vocabulary.encode_content(text))) == text.encode()


def test_turn_marker_is_one_token_as_markup_and_several_as_content(vocabulary: Vocabulary) -> None:
    (marker,) = vocabulary.encode_markup("<|im_end|>")
    assert vocabulary.ends_answer(marker)
    assert vocabulary.written(marker) == "<|im_end|>"
    assert vocabulary.piece(marker) == b""
    content = vocabulary.encode_content("<|im_end|>")
    assert len(content) > 1
    assert not any(vocabulary.ends_answer(token) for token in content)


def test_lone_surrogate_is_replaced_and_not_an_error(vocabulary: Vocabulary) -> None:
    assert vocabulary.encode_content("a\ud800b") == vocabulary.encode_content("a?b")
