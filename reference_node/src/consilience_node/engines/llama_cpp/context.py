"""The shared context of all sequences: llama.cpp's memory, and one step of the model over it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consilience_node.engines.errors import ModelUnusable
from consilience_node.engines.llama_cpp.model import Model
from consilience_node.engines.llama_cpp.native import llama

Tokens = NDArray[np.int32]
Logits = NDArray[np.float32]


class NoRoom(Exception):
    """The context has no cells left for a batch; nothing was computed, nothing was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Consecutive tokens of one sequence, to be computed in one step.

    Attributes:
        sequence_id: the sequence they continue.
        position: place of the first of them in the sequence.
        tokens: at least one.
        predicts: whether the logits after the last of them are wanted.
    """

    sequence_id: int
    position: int
    tokens: Tokens
    predicts: bool


class Context:
    """One llama.cpp context with a unified memory; to be used by one thread only.

    Args:
        model: stays loaded for as long as this lives.
        cells: tokens that all sequences together can hold; rounded up by llama.cpp.
        sequences: number of sequence ids, from 0.
        batch_tokens: most tokens of one step.
        threads: threads that compute.

    Raises:
        ModelUnusable: llama.cpp cannot make such a context.
    """

    def __init__(
        self,
        model: Model,
        *,
        cells: int,
        sequences: int,
        batch_tokens: int,
        threads: int,
    ) -> None:
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = cells
        parameters.n_seq_max = sequences
        parameters.n_batch = parameters.n_ubatch = batch_tokens
        # The default reserves logits for every token of a batch: half a gigabyte for Gemma.
        parameters.n_outputs_max = sequences
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.kv_unified = True
        parameters.no_perf = True
        self._pointer = llama.llama_init_from_model(model.pointer, parameters)
        if not self._pointer:
            raise ModelUnusable(path=model.path, reason=f"llama.cpp cannot make a context of {cells} tokens")
        self._memory = llama.llama_get_memory(self._pointer)
        self._vocabulary_size = model.vocabulary.size
        self._batch = _Batch(batch_tokens)
        self.cells = int(llama.llama_n_ctx(self._pointer))
        """Tokens that all sequences together can hold."""

    def step(self, spans: Sequence[Span]) -> Logits:
        """Computes one batch.

        Args:
            spans: at most one per sequence.

        Returns:
            Array of shape (predicting spans, vocabulary) in the order of the spans. It is a view
            into llama.cpp's buffer: the next step overwrites it.

        Raises:
            NoRoom: there are too few free cells.
            RuntimeError: llama.cpp failed; what is in the context is not known any more.
        """
        status: int = llama.llama_decode(self._pointer, self._batch.fill(spans))
        if status == 1:
            raise NoRoom
        if status != 0:
            raise RuntimeError(f"llama_decode failed with status {status}")
        predicting = sum(span.predicts for span in spans)
        if not predicting:
            return np.empty((0, self._vocabulary_size), dtype=np.float32)
        logits = llama.llama_get_logits(self._pointer)
        return np.ctypeslib.as_array(logits, shape=(predicting, self._vocabulary_size))

    def share(self, *, source: int, target: int, length: int) -> None:
        """Lets the sequence `target` begin with the first `length` tokens of `source`; no copy."""
        llama.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def forget(self, sequence_id: int) -> None:
        """Removes a sequence; cells that no other one shares become free."""
        llama.llama_memory_seq_rm(self._memory, sequence_id, -1, -1)

    def close(self) -> None:
        """Frees the context."""
        llama.llama_free(self._pointer)


class _Batch:
    """A `llama_batch` over arrays of our own, so that filling it is a few copies."""

    def __init__(self, capacity: int) -> None:
        self._tokens = np.zeros(capacity, dtype=np.int32)
        self._positions = np.zeros(capacity, dtype=np.int32)
        self._sequences = np.zeros(capacity, dtype=np.int32)
        self._predicts = np.zeros(capacity, dtype=np.int8)
        self._sequence_counts = np.ones(capacity, dtype=np.int32)
        first = self._sequences.ctypes.data
        self._sequence_pointers = first + np.arange(capacity, dtype=np.uintp) * 4
        self._native = llama.llama_batch(
            token=_pointer(self._tokens, llama.llama_token),
            pos=_pointer(self._positions, llama.llama_pos),
            n_seq_id=_pointer(self._sequence_counts, ctypes.c_int32),
            seq_id=_pointer(self._sequence_pointers, ctypes.POINTER(llama.llama_seq_id)),
            logits=_pointer(self._predicts, ctypes.c_int8),
        )

    def fill(self, spans: Sequence[Span]) -> llama.llama_batch:
        """Writes the spans one after the other; the result is valid until the next call."""
        start = 0
        for span in spans:
            end = start + len(span.tokens)
            self._tokens[start:end] = span.tokens
            self._positions[start:end] = range(span.position, span.position + end - start)
            self._sequences[start:end] = span.sequence_id
            self._predicts[start:end] = 0
            self._predicts[end - 1] = span.predicts
            start = end
        self._native.n_tokens = start
        return self._native


def _pointer(array: NDArray[np.generic], kind: type) -> ctypes._Pointer[ctypes._SimpleCData[int]]:
    """Returns the address of an array that the caller keeps alive."""
    return ctypes.cast(array.ctypes.data, ctypes.POINTER(kind))
