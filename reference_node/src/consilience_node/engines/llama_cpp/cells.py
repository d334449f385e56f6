"""Who holds which cells of the shared context.

llama.cpp lets sequences share the cells of a common beginning, but does not say how many cells are
free. This ledger does: it mirrors every operation, so that a generation is admitted only if it can
be finished whatever the others do, and so that what finished generations left behind (*idle*
strands, kept because the next prompt may begin in the same way) goes first when cells are needed.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from consilience_node.engines.llama_cpp.context import Tokens


class SequenceStore(Protocol):
    """The memory that the ledger mirrors; see `Context`."""

    def share(self, *, source: int, target: int, length: int) -> None:
        """Lets `target` begin with the first `length` tokens of `source`."""

    def forget(self, sequence_id: int) -> None:
        """Removes a sequence."""


class Strand:
    """The tokens computed under one sequence id, and the cells they occupy.

    Attributes:
        sequence_id: llama.cpp's name for it.
        reserve: most tokens it will have.
        shareable: whether another strand may begin with its tokens.
    """

    def __init__(self, *, sequence_id: int, reserve: int, shareable: bool) -> None:
        self.sequence_id = sequence_id
        self.reserve = reserve
        self.shareable = shareable
        self._length = 0
        self._tokens = np.empty(reserve, dtype=np.int32)
        self._cells = np.empty(reserve, dtype=np.int32)

    def __len__(self) -> int:
        return self._length

    @property
    def tokens(self) -> Tokens:
        """Tokens computed so far."""
        return self._tokens[: self._length]

    @property
    def cells(self) -> NDArray[np.int32]:
        """Cells of these tokens."""
        return self._cells[: self._length]

    def append(self, tokens: Tokens, cells: NDArray[np.int32]) -> None:
        """Notes more tokens and where they are."""
        end = self._length + len(tokens)
        self._tokens[self._length : end] = tokens
        self._cells[self._length : end] = cells
        self._length = end


class CellLedger:
    """Admission, prefix sharing and eviction over one shared context.

    Args:
        store: the memory itself.
        cells: how many tokens it can hold.
        sequences: how many sequence ids it has.
        idle_cells: most cells that only idle strands may hold. Every step of the model looks at
            them, so many of them cost speed.
    """

    def __init__(self, store: SequenceStore, *, cells: int, sequences: int, idle_cells: int) -> None:
        self.cells = cells
        self._store = store
        self._idle_cells = idle_cells
        self._free_ids = list(range(sequences - 1, -1, -1))
        self._free_cells = list(range(cells - 1, -1, -1))
        self._holders = np.zeros(cells, dtype=np.int32)
        self._live_holders = np.zeros(cells, dtype=np.int32)
        self._live: set[Strand] = set()
        self._idle: OrderedDict[Strand, None] = OrderedDict()

    @property
    def free_cells(self) -> int:
        """Cells that no strand holds."""
        return len(self._free_cells)

    def admits(self, reserve: int) -> bool:
        """Says whether one more strand can grow to `reserve` tokens whatever the others do."""
        promised = sum(strand.reserve - len(strand) for strand in self._live)
        held = int(np.count_nonzero(self._live_holders))
        ids = len(self._free_ids) + len(self._idle)
        return ids > 0 and held + promised + reserve <= self.cells

    def open(self, *, reserve: int, shareable: bool) -> Strand:
        """Begins a live strand; call only when `admits(reserve)`."""
        if not self._free_ids:
            self.evict()
        strand = Strand(sequence_id=self._free_ids.pop(), reserve=reserve, shareable=shareable)
        self._live.add(strand)
        return strand

    def longest_prefix(self, tokens: Tokens) -> tuple[Strand | None, int]:
        """Finds the shareable strand that begins like `tokens`, and for how many tokens it does."""
        best, length = None, 0
        for strand in (*self._live, *self._idle):
            common = common_prefix(strand.tokens, tokens) if strand.shareable else 0
            if common > length:
                best, length = strand, common
        return best, length

    def inherit(self, strand: Strand, *, source: Strand, length: int) -> None:
        """Lets an empty live strand begin with the first `length` tokens of another."""
        self._store.share(source=source.sequence_id, target=strand.sequence_id, length=length)
        cells = source.cells[:length]
        self._holders[cells] += 1
        self._live_holders[cells] += 1
        strand.append(source.tokens[:length], cells)
        if source in self._idle:
            self._idle.move_to_end(source)

    def make_room(self, tokens: int) -> None:
        """Evicts idle strands, the longest unused first, until so many cells are free."""
        while len(self._free_cells) < tokens and self.evict():
            pass

    def extend(self, strand: Strand, tokens: Tokens) -> None:
        """Notes that more tokens of a live strand have been computed."""
        cells = np.array([self._free_cells.pop() for _ in tokens], dtype=np.int32)
        self._holders[cells] = 1
        self._live_holders[cells] = 1
        strand.append(tokens, cells)

    def finish(self, strand: Strand, *, keep: bool) -> None:
        """Ends a live strand; kept idle if it may serve others, else forgotten."""
        self._live.remove(strand)
        self._live_holders[strand.cells] -= 1
        if keep and strand.shareable and len(strand):
            self._idle[strand] = None
            self._trim_idle()
        else:
            self._forget(strand)

    def evict(self) -> bool:
        """Forgets the idle strand that was not used for longest; False if there is none."""
        if not self._idle:
            return False
        strand, _ = self._idle.popitem(last=False)
        self._forget(strand)
        return True

    def _trim_idle(self) -> None:
        while self._idle:
            held = self.cells - len(self._free_cells)
            if held - int(np.count_nonzero(self._live_holders)) <= self._idle_cells:
                return
            self.evict()

    def _forget(self, strand: Strand) -> None:
        self._store.forget(strand.sequence_id)
        self._free_ids.append(strand.sequence_id)
        cells = strand.cells
        self._holders[cells] -= 1
        self._free_cells.extend(cells[self._holders[cells] == 0].tolist())


def common_prefix(one: Tokens, other: Tokens) -> int:
    """Returns how many tokens two sequences have in common from the start."""
    length = min(len(one), len(other))
    different = np.flatnonzero(one[:length] != other[:length])
    return int(different[0]) if len(different) else length
