from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from consilience_node.engines import SchemaUnsupported
from consilience_node.engines.llama_cpp.grammar import Grammar
from consilience_node.engines.llama_cpp.vocabulary import Vocabulary


@pytest.fixture
def boolean(vocabulary: Vocabulary) -> Iterator[Grammar]:
    grammar = Grammar('root ::= "true" | "false"', vocabulary=vocabulary)
    yield grammar
    grammar.close()


def test_only_beginnings_of_what_fits_are_allowed(boolean: Grammar, vocabulary: Vocabulary) -> None:
    allowed = boolean.allowed(np.zeros(vocabulary.size, dtype=np.float32))
    pieces = {vocabulary.piece(int(token)) for token in np.flatnonzero(np.isfinite(allowed))}
    assert {b"true", b"false", b"t", b"f"} <= pieces
    assert all(b"true".startswith(piece) or b"false".startswith(piece) for piece in pieces)


def test_grammar_moves_on_with_each_token(boolean: Grammar, vocabulary: Vocabulary) -> None:
    (true,) = vocabulary.encode_content("true")
    (end,) = vocabulary.encode_markup("<|im_end|>")
    assert boolean.allows(true)
    assert not boolean.allows(end)
    boolean.accept(true)
    assert not boolean.allows(true)
    assert boolean.allows(end)


def test_allowed_logits_keep_their_values(boolean: Grammar, vocabulary: Vocabulary) -> None:
    logits = np.arange(vocabulary.size, dtype=np.float32)
    allowed = boolean.allowed(logits)
    kept = np.isfinite(allowed)
    assert np.array_equal(allowed[kept], logits[kept])


@pytest.mark.parametrize("likelier", [10, 5000])
def test_likeliest_allowed_token_is_found_however_unlikely_it_is(
    boolean: Grammar, vocabulary: Vocabulary, likelier: int
) -> None:
    logits = np.zeros(vocabulary.size, dtype=np.float32)
    logits[np.flatnonzero(np.isinf(boolean.allowed(logits)))[:likelier]] = 9.0
    (true,) = vocabulary.encode_content("true")
    logits[true] = 5.0
    assert boolean.likeliest_allowed(logits) == true


@pytest.mark.parametrize("notation", ['root ::= nowhere "x"', "root ::= root", "no grammar at all"])
def test_grammar_that_llama_cpp_cannot_follow_is_refused(vocabulary: Vocabulary, notation: str) -> None:
    with pytest.raises(SchemaUnsupported):
        Grammar(notation, vocabulary=vocabulary)
