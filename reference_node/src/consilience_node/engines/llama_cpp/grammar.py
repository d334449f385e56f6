"""Text that satisfies a JSON schema, by forbidding every token that would break it.

The schema becomes a grammar in llama.cpp's notation, and llama.cpp's grammar sampler follows it.
A schema comes from a stranger: its size, depth and repetitions are bounded before anything is
built from it.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Iterator

import numpy as np

from consilience_node.engines.errors import SchemaUnsupported
from consilience_node.engines.llama_cpp.context import Logits
from consilience_node.engines.llama_cpp.native import json_schema_to_gbnf, llama
from consilience_node.engines.llama_cpp.vocabulary import Vocabulary

_MAX_SCHEMA_BYTES = 16_384
_MAX_DEPTH = 32
_MAX_REPETITIONS = 256
_REPETITIONS = ("minItems", "maxItems", "minLength", "maxLength")
_CANDIDATE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


def grammar_of(schema: str) -> str:
    """Translates a JSON schema to llama.cpp's grammar notation.

    Raises:
        SchemaUnsupported: it is no schema, or too large, or says what the notation cannot.
    """
    if len(schema.encode()) > _MAX_SCHEMA_BYTES:
        raise SchemaUnsupported(f"the JSON schema is larger than {_MAX_SCHEMA_BYTES} bytes")
    try:
        parsed = json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise SchemaUnsupported(f"the JSON schema is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise SchemaUnsupported("the JSON schema must be an object")
    _check_bounds(parsed)
    try:
        return str(json_schema_to_gbnf(schema))
    except Exception as error:
        # The translator states no errors of its own: it asserts, and lets look-ups fail.
        raise SchemaUnsupported(f"the JSON schema cannot become a grammar: {error}") from error


def _check_bounds(schema: dict[str, object]) -> None:
    for depth, node in _nodes(schema, depth=0):
        if depth > _MAX_DEPTH:
            raise SchemaUnsupported(f"the JSON schema is nested deeper than {_MAX_DEPTH} levels")
        if isinstance(node.get("pattern"), str):
            # A pattern may repeat groups of groups, so its grammar has no useful bound.
            raise SchemaUnsupported("patterns in the JSON schema are not supported here")
        for key in _REPETITIONS:
            value = node.get(key)
            if isinstance(value, int | float) and value > _MAX_REPETITIONS:
                raise SchemaUnsupported(f"{key} in the JSON schema may be {_MAX_REPETITIONS} here")


def _nodes(node: object, *, depth: int) -> Iterator[tuple[int, dict[str, object]]]:
    """Yields every object in a JSON value with its depth, but follows none too deep."""
    if isinstance(node, dict):
        yield depth, node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    if depth <= _MAX_DEPTH:
        for child in children:
            yield from _nodes(child, depth=depth + 1)


class Grammar:
    """How far one text has come in its grammar.

    Args:
        notation: a grammar as `grammar_of` writes it.
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
