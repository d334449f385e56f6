"""Which token comes next: from a row of logits to a token and its log probability.

Log probabilities are always those of the model's own distribution, whatever the temperature and
the schema do to the choice: they say how sure the model was, not how the draw was made.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from consilience_node.engines.interface import Sampling
from consilience_node.engines.llama_cpp.context import Logits
from consilience_node.engines.llama_cpp.grammar import Grammar

_LIKELIEST = 256


class TokenChoice:
    """Chooses the tokens of one generation.

    Args:
        sampling: temperature, share of probability and seed.
        grammar: what the text must satisfy; None for free text.
    """

    def __init__(self, sampling: Sampling, *, grammar: Grammar | None = None) -> None:
        self._temperature = sampling.temperature
        self._top_p = sampling.top_p
        self._random = np.random.default_rng(sampling.seed)
        self._grammar = grammar

    def choose(self, logits: Logits, *, likeliest: int) -> int:
        """Chooses the next token.

        Args:
            logits: of shape (vocabulary,).
            likeliest: index of the highest of them.

        Raises:
            SchemaUnsupported: the grammar allows no token of this vocabulary.
        """
        greedy = self._temperature == 0
        token = likeliest if greedy else self._draw(logits)
        grammar = self._grammar
        if grammar is None:
            return token
        if not grammar.allows(token):
            token = grammar.likeliest_allowed(logits) if greedy else self._draw(grammar.allowed(logits))
        grammar.accept(token)
        return token

    def _draw(self, logits: Logits) -> int:
        """Draws from the smallest set of likeliest tokens that has `top_p` of the probability."""
        scaled = (logits.astype(np.float64) - float(logits.max())) / self._temperature
        weights = np.exp(scaled)
        total = float(weights.sum())
        order = _likeliest_first(weights, needed=self._top_p * total)
        cumulative = np.cumsum(weights[order])
        kept = int(np.searchsorted(cumulative, self._top_p * total)) + 1
        cumulative = cumulative[:kept]
        drawn = self._random.random() * float(cumulative[-1])
        return int(order[min(int(np.searchsorted(cumulative, drawn, side="right")), kept - 1)])

    def close(self) -> None:
        """Frees the grammar, if there is one."""
        if self._grammar is not None:
            self._grammar.close()


def _likeliest_first(weights: NDArray[np.float64], *, needed: float) -> NDArray[np.intp]:
    """Orders tokens by falling weight; only the first ones where those have what is needed."""
    if len(weights) > _LIKELIEST:
        top = np.argpartition(weights, -_LIKELIEST)[-_LIKELIEST:]
        if float(weights[top].sum()) >= needed:
            ordered: NDArray[np.intp] = top[np.argsort(-weights[top], kind="stable")]
            return ordered
    order: NDArray[np.intp] = np.argsort(-weights, kind="stable")
    return order


class RowReader:
    """Reads likeliest tokens and log probabilities from the rows of one step."""

    def __init__(self, *, rows: int, vocabulary: int) -> None:
        self._scratch = np.empty((rows, vocabulary), dtype=np.float32)

    def likeliest(self, logits: Logits) -> NDArray[np.intp]:
        """Returns the index of the highest logit of each row."""
        indices: NDArray[np.intp] = logits.argmax(axis=1)
        return indices

    def log_normalisers(self, logits: Logits, *, likeliest: NDArray[np.intp]) -> NDArray[np.float64]:
        """Returns what to subtract from a logit of each row to get its log probability.

        Args:
            logits: of shape (rows, vocabulary).
            likeliest: index of the highest logit of each row.
        """
        highest = np.take_along_axis(logits, likeliest[:, None], axis=1)
        scratch = self._scratch[: len(logits)]
        np.subtract(logits, highest, out=scratch)
        np.exp(scratch, out=scratch)
        sums: NDArray[np.float32] = scratch.sum(axis=1)
        return np.add(highest[:, 0], np.log(sums), dtype=np.float64)
