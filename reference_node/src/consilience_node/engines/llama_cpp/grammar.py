"""Text that follows a grammar, by forbidding every token that would break it."""

from __future__ import annotations

import ctypes

import numpy as np

from consilience_node.engines.errors import SchemaUnsupported
from consilience_node.engines.llama_cpp.context import Logits, Tokens
from consilience_node.engines.llama_cpp.native import llama
from consilience_node.engines.llama_cpp.vocabulary import Vocabulary

_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
_TRIED_FIRST = 64  # following a grammar costs about a microsecond per token tried


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
        self._every_token = np.arange(vocabulary.size, dtype=np.int32)

    def allows(self, token: int) -> bool:
        """Says whether the text may go on with this token; cheap, unlike `allowed`."""
        return bool(np.isfinite(self._masked(np.array([token], dtype=np.int32), np.zeros(1, dtype=np.float32))[0]))

    def likeliest_allowed(self, logits: Logits) -> int:
        """Returns the likeliest token with which the text may go on.

        Raises:
            SchemaUnsupported: every token is forbidden.
        """
        tried = np.argpartition(logits, -_TRIED_FIRST)[-_TRIED_FIRST:].astype(np.int32)
        masked = self._masked(tried, logits[tried])
        if np.isfinite(masked).any():
            return int(tried[masked.argmax()])
        return int(self.allowed(logits).argmax())

    def allowed(self, logits: Logits) -> Logits:
        """Returns the logits with those of forbidden tokens at minus infinity.

        Raises:
            SchemaUnsupported: every token is forbidden.
        """
        masked = self._masked(self._every_token, logits)
        if not np.isfinite(masked).any():
            raise SchemaUnsupported("no token of the model can continue the JSON that it began")
        return masked

    def accept(self, token: int) -> None:
        """Moves on by one token, which must be an allowed one."""
        llama.llama_sampler_accept(self._sampler, token)

    def close(self) -> None:
        """Frees the sampler."""
        llama.llama_sampler_free(self._sampler)

    def _masked(self, tokens: Tokens, logits: Logits) -> Logits:
        """Returns the logits of some tokens, with minus infinity for those that are forbidden."""
        candidates = np.zeros(len(tokens), dtype=_CANDIDATE)
        candidates["id"] = tokens
        candidates["logit"] = logits
        array = llama.llama_token_data_array(
            data=ctypes.cast(candidates.ctypes.data, llama.llama_token_data_p),
            size=len(candidates),
            selected=-1,
            sorted=False,
        )
        llama.llama_sampler_apply(self._sampler, ctypes.byref(array))
        masked: Logits = candidates["logit"].copy()
        return masked
