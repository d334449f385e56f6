from __future__ import annotations

import numpy as np
import pytest

from consilience_node.engines import Sampling
from consilience_node.engines.llama_cpp.context import Logits
from consilience_node.engines.llama_cpp.grammar import Grammar
from consilience_node.engines.llama_cpp.token_choice import RowReader, TokenChoice
from consilience_node.engines.llama_cpp.vocabulary import Vocabulary


def _logits(*values: float) -> Logits:
    return np.array(values, dtype=np.float32)


def _draws(logits: Logits, *, count: int = 400, **sampling: float) -> list[int]:
    choice = TokenChoice(Sampling(max_output_tokens=1, **sampling))  # type: ignore[arg-type]
    return [choice.choose(logits, likeliest=int(logits.argmax())) for _ in range(count)]


def test_without_temperature_the_likeliest_is_taken() -> None:
    assert set(_draws(_logits(0.0, 3.0, 2.9), count=20)) == {1}


def test_drawing_follows_the_probabilities() -> None:
    shares = np.bincount(_draws(np.log(_logits(0.7, 0.2, 0.1)), count=4000, temperature=1.0, seed=1)) / 4000
    assert np.allclose(shares, [0.7, 0.2, 0.1], atol=0.03)


def test_low_temperature_sharpens() -> None:
    draws = _draws(np.log(_logits(0.6, 0.4)), temperature=0.1, seed=1)
    assert draws.count(0) > 380


@pytest.mark.parametrize(("top_p", "kept"), [(0.4, {0}), (0.6, {0, 1}), (0.85, {0, 1, 2}), (1.0, {0, 1, 2, 3})])
def test_top_p_keeps_the_smallest_likeliest_set(top_p: float, kept: set[int]) -> None:
    logits = np.log(_logits(0.45, 0.3, 0.15, 0.1))
    assert set(_draws(logits, count=2000, temperature=1.0, top_p=top_p, seed=3)) == kept


@pytest.mark.parametrize("flat", [True, False])
def test_large_vocabulary_is_drawn_from_like_a_small_one(*, flat: bool) -> None:
    logits = np.zeros(10_000, dtype=np.float32)
    if not flat:
        logits[[17, 4000]] = 30.0
    draws = set(_draws(logits, count=600, temperature=1.0, top_p=0.9, seed=5))
    assert len(draws) > 500 if flat else draws == {17, 4000}


def test_same_seed_draws_the_same_and_no_seed_does_not() -> None:
    logits = np.zeros(1000, dtype=np.float32)
    assert _draws(logits, count=20, temperature=1.0, seed=9) == _draws(logits, count=20, temperature=1.0, seed=9)
    assert _draws(logits, count=20, temperature=1.0) != _draws(logits, count=20, temperature=1.0)


def test_log_probabilities_of_a_row_sum_to_one() -> None:
    logits = np.random.default_rng(1).normal(scale=8, size=(3, 50_000)).astype(np.float32)
    reader = RowReader(rows=4, vocabulary=50_000)
    likeliest = reader.likeliest(logits)
    normalisers = reader.log_normalisers(logits, likeliest=likeliest)
    assert likeliest.tolist() == logits.argmax(axis=1).tolist()
    assert np.allclose(np.exp(logits.astype(np.float64) - normalisers[:, None]).sum(axis=1), 1.0, atol=1e-5)


def test_forbidden_tokens_have_no_share_of_the_probability() -> None:
    logits = _logits(1.0, -np.inf, 1.0)[None]
    reader = RowReader(rows=1, vocabulary=3)
    assert np.isclose(logits[0, 0] - reader.log_normalisers(logits, likeliest=np.array([0]))[0], np.log(0.5))


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_grammar_decides_over_the_likeliest(vocabulary: Vocabulary, temperature: float) -> None:
    grammar = Grammar('root ::= "true" | "false"', vocabulary=vocabulary)
    choice = TokenChoice(Sampling(max_output_tokens=9, temperature=temperature, seed=2), grammar=grammar)
    logits = np.zeros(vocabulary.size, dtype=np.float32)
    (likeliest,) = vocabulary.encode_content("maybe")
    logits[likeliest] = 20.0
    written = b""
    while not vocabulary.ends_answer(token := choice.choose(logits, likeliest=likeliest)):
        written += vocabulary.piece(token)
    choice.close()
    assert written in {b"true", b"false"}
