from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from consilience_node.engines.llama_cpp.context import Context, NoRoom, Span, Tokens
from consilience_node.engines.llama_cpp.model import Model

CELLS = 256


@pytest.fixture
def context(model: Model) -> Iterator[Context]:
    context = Context(model, cells=CELLS, sequences=4, batch_tokens=128, threads=1)
    yield context
    context.close()


def _span(tokens: Tokens, *, sequence_id: int, position: int = 0, predicts: bool = True) -> Span:
    return Span(sequence_id=sequence_id, position=position, tokens=tokens, predicts=predicts)


def _words(model: Model, text: str) -> Tokens:
    return np.array(model.vocabulary.encode_content(text), dtype=np.int32)


def test_rows_come_in_the_order_of_the_spans_that_predict(context: Context, model: Model) -> None:
    france, numbers = _words(model, "The capital of France is"), _words(model, "One, two, three, four, five,")
    alone = []
    for words in (france, numbers):
        alone.append(int(context.step([_span(words, sequence_id=0)]).argmax()))
        context.forget(0)
    rows = context.step(
        [
            _span(numbers, sequence_id=0),
            _span(_words(model, "not asked"), sequence_id=1, predicts=False),
            _span(france, sequence_id=2),
        ]
    )
    assert rows.shape == (2, model.vocabulary.size)
    assert rows.argmax(axis=1).tolist() == alone[::-1]
    assert alone[0] != alone[1]


def test_shared_beginning_predicts_what_a_computed_one_does(context: Context, model: Model) -> None:
    words = _words(model, "One two three four five six")
    computed = context.step([_span(words, sequence_id=0)])[0].copy()
    context.share(source=0, target=1, length=len(words) - 1)
    shared = context.step([_span(words[-1:], sequence_id=1, position=len(words) - 1)])[0]
    assert np.argmax(shared) == np.argmax(computed)
    assert np.allclose(shared, computed, atol=0.2)


def test_batch_without_room_changes_nothing(context: Context, model: Model) -> None:
    filler = np.full(100, int(_words(model, " word")[0]), dtype=np.int32)
    for sequence_id in (0, 1):
        context.step([_span(filler, sequence_id=sequence_id, predicts=False)])
    assert context.cells == CELLS
    with pytest.raises(NoRoom):
        context.step([_span(filler, sequence_id=2)])
    context.forget(0)
    assert context.step([_span(filler, sequence_id=2)]).shape == (1, model.vocabulary.size)


def test_sequences_that_share_a_beginning_fit_where_copies_would_not(context: Context, model: Model) -> None:
    filler = np.full(120, int(_words(model, " word")[0]), dtype=np.int32)
    context.step([_span(filler, sequence_id=0, predicts=False)])
    for sequence_id in (1, 2, 3):
        context.share(source=0, target=sequence_id, length=len(filler))
    rows = context.step([_span(filler[:20], sequence_id=i, position=len(filler)) for i in range(4)])
    assert len(rows) == 4


def test_batch_that_llama_cpp_rejects_is_an_error(context: Context, model: Model) -> None:
    gap = _span(_words(model, "after a gap"), sequence_id=0, position=10)
    context.step([_span(_words(model, "start"), sequence_id=0, predicts=False)])
    with pytest.raises(RuntimeError, match="status -1"):
        context.step([gap])
