from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from consilience_node.engines.llama_cpp.cells import CellLedger, Strand, common_prefix
from consilience_node.engines.llama_cpp.context import Tokens

CELLS = 24
SEQUENCES = 4
IDLE_CELLS = 10


class Memory:
    """What llama.cpp's memory does: sequences of tokens that may share cells."""

    def __init__(self) -> None:
        self.sequences: dict[int, list[tuple[int, object]]] = {}

    def share(self, *, source: int, target: int, length: int) -> None:
        assert not self.sequences.get(target)
        self.sequences[target] = self.sequences[source][:length]

    def forget(self, sequence_id: int) -> None:
        self.sequences.pop(sequence_id, None)

    def compute(self, sequence_id: int, tokens: Tokens) -> None:
        self.sequences.setdefault(sequence_id, []).extend((int(token), object()) for token in tokens)

    @property
    def used(self) -> int:
        return len({cell for sequence in self.sequences.values() for _, cell in sequence})


def _tokens(*values: int) -> Tokens:
    return np.array(values, dtype=np.int32)


class LedgerMachine(RuleBasedStateMachine):
    """Random admissions, steps and ends; the ledger must agree with the memory at every moment."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory()
        self.ledger = CellLedger(self.memory, cells=CELLS, sequences=SEQUENCES, idle_cells=IDLE_CELLS)
        self.live: list[Strand] = []

    strands = Bundle("strands")

    @rule(prompt=st.lists(st.integers(0, 1), min_size=1, max_size=8), output=st.integers(1, 8), shareable=st.booleans())
    def admit(self, prompt: list[int], output: int, *, shareable: bool) -> None:
        reserve = len(prompt) + output
        if not self.ledger.admits(reserve):
            assert self.live, "an empty context admits whatever fits"
            return
        strand = self.ledger.open(reserve=reserve, shareable=shareable)
        source, length = self.ledger.longest_prefix(_tokens(*prompt[:-1])) if shareable else (None, 0)
        if source is not None:
            assert source.shareable
            self.ledger.inherit(strand, source=source, length=length)
        self._compute(strand, _tokens(*prompt[length:]))
        self.live.append(strand)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        strand = data.draw(st.sampled_from(self.live))
        if len(strand) < strand.reserve:
            self._compute(strand, _tokens(data.draw(st.integers(0, 1))))

    @precondition(lambda self: self.live)
    @rule(data=st.data(), keep=st.booleans())
    def finish(self, data: st.DataObject, *, keep: bool) -> None:
        strand = self.live.pop(data.draw(st.integers(0, len(self.live) - 1)))
        self.ledger.finish(strand, keep=keep)

    @invariant()
    def cells_are_counted_as_they_are_used(self) -> None:
        assert self.ledger.free_cells == CELLS - self.memory.used

    @invariant()
    def strands_hold_what_the_memory_holds(self) -> None:
        for strand in self.live:
            assert strand.tokens.tolist() == [token for token, _ in self.memory.sequences.get(strand.sequence_id, [])]

    def teardown(self) -> None:
        # The promise of admission: whoever was let in can finish.
        for strand in self.live:
            self._compute(strand, _tokens(*[0] * (strand.reserve - len(strand))))

    def _compute(self, strand: Strand, tokens: Tokens) -> None:
        self.ledger.make_room(len(tokens))
        self.ledger.extend(strand, tokens)
        self.memory.compute(strand.sequence_id, tokens)


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_ledger_agrees_with_the_memory_whatever_happens = LedgerMachine.TestCase


@pytest.fixture
def ledger() -> CellLedger:
    return CellLedger(Memory(), cells=CELLS, sequences=SEQUENCES, idle_cells=IDLE_CELLS)


def _finished(ledger: CellLedger, *tokens: int) -> Strand:
    memory = ledger._store
    assert isinstance(memory, Memory)
    strand = ledger.open(reserve=len(tokens), shareable=True)
    ledger.extend(strand, _tokens(*tokens))
    memory.compute(strand.sequence_id, _tokens(*tokens))
    ledger.finish(strand, keep=True)
    return strand


def test_idle_strand_used_last_is_evicted_last(ledger: CellLedger) -> None:
    old, new = _finished(ledger, 1, 1, 1), _finished(ledger, 2, 2, 2)
    ledger.inherit(ledger.open(reserve=5, shareable=True), source=old, length=3)
    assert ledger.evict()
    assert ledger.longest_prefix(_tokens(2, 2))[0] is not new
    assert ledger.longest_prefix(_tokens(1, 1, 1))[1] == 3


def test_idle_strands_never_hold_more_cells_than_allowed(ledger: CellLedger) -> None:
    for token in range(1, 8):
        _finished(ledger, *[token] * 4)
        assert CELLS - ledger.free_cells <= IDLE_CELLS


def test_strand_that_may_not_be_shared_is_neither_found_nor_kept(ledger: CellLedger) -> None:
    strand = ledger.open(reserve=4, shareable=False)
    ledger.extend(strand, _tokens(5, 5, 5))
    assert ledger.longest_prefix(_tokens(5, 5)) == (None, 0)
    ledger.finish(strand, keep=True)
    assert ledger.free_cells == CELLS


@pytest.mark.parametrize(
    ("one", "other", "length"), [((), (1,), 0), ((1, 2), (1, 2, 3), 2), ((1, 2, 3), (1, 9, 3), 1), ((4,), (5,), 0)]
)
def test_common_prefix_is_as_long_as_both_agree(one: tuple[int, ...], other: tuple[int, ...], length: int) -> None:
    assert common_prefix(_tokens(*one), _tokens(*other)) == length
