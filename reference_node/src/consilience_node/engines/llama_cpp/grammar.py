"""Text that follows a grammar, by forbidding every token that would break it."""

from __future__ import annotations

import ctypes

import numpy as np

from consilience_node.engines.errors import SchemaUnsupported
from consilience_node.engines.llama_cpp.context import Logits
from consilience_node.engines.llama_cpp.native import llama
from consilience_node.engines.llama_cpp.vocabulary import Vocabulary

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Grammar:
    """How far one text has come in its grammar.

    Args:
        notation: a grammar in llama.cpp's notation, beginning at the rule ``root``.
        vocabulary: the model's tokens.

    Raises:
        SchemaUnsupported: llama.cpp cannot follow this grammar.
    """

    def __init__(self, notation: str, *, vocabulary: Vocabulary) -> None:
        self._sampler = llama.llama_sampler_init_grammar(vocabulary.pointer, notation.encode(), b"root")
        if not self._sampler:
            raise SchemaUnsupported("llama.cpp cannot follow the grammar of this JSON schema")
        self._all = np.zeros(vocabulary.size, dtype=_CANDIDATE)
        self._all["id"] = np.arange(vocabulary.size)
        self._one = np.zeros(1, dtype=_CANDIDATE)

    def allows(self, token: int) -> bool:
        """Says whether the text may go on with this token; cheap, unlike `allowed`."""
        self._one["id"] = token
        self._one["logit"] = 0.0
        self._apply(self._one)
        return bool(np.isfinite(self._one["logit"][0]))

    def allowed(self, logits: Logits) -> Logits:
        """Returns the logits with those of forbidden tokens at minus infinity.

        Raises:
            SchemaUnsupported: every token is forbidden.
        """
        self._all["logit"] = logits
        self._apply(self._all)
        masked = self._all["logit"].copy()
        if not np.isfinite(masked).any():
            raise SchemaUnsupported("no token of the model can continue the JSON that it began")
        return masked

    def accept(self, token: int) -> None:
        """Moves on by one token, which must be an allowed one."""
        llama.llama_sampler_accept(self._sampler, token)

    def close(self) -> None:
        """Frees the sampler."""
        llama.llama_sampler_free(self._sampler)

    def _apply(self, candidates: np.ndarray[tuple[int], np.dtype[np.void]]) -> None:
        array = llama.llama_token_data_array(
            data=ctypes.cast(candidates.ctypes.data, llama.llama_token_data_p),
            size=len(candidates),
            selected=-1,
            sorted=False,
        )
        llama.llama_sampler_apply(self._sampler, ctypes.byref(array))
