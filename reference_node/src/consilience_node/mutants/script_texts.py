"""Mutants of the text of scripted answers: when it is written, and what becomes of bytes that are no text."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any

from consilience.asks import Citation
from consilience.conformance import ScriptedToken, WaitForGate
from consilience.server import scripts
from consilience_node.mutants.registry import mutant, replace


@mutant("text-held-at-gates")
def _text_held_at_gates() -> None:
    """A script that cites something waits at a gate before it writes its last text, and not behind it."""

    def hold(items: Callable[..., Any]) -> Callable[..., Any]:
        def walk(self: Any, steps: tuple[Any, ...]) -> Any:
            return items(self, _waiting_first(steps) if any(isinstance(step, Citation) for step in steps) else steps)

        return walk

    replace(scripts._Performance, "items", hold)


def _waiting_first(steps: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns the steps with each wait moved before the text that it follows."""
    moved: list[Any] = []
    for step in steps:
        follows_text = isinstance(step, WaitForGate) and moved and isinstance(moved[-1], ScriptedToken)
        moved.insert(len(moved) - 1 if follows_text else len(moved), step)
    return tuple(moved)


@mutant("no-text-is-dropped")
def _no_text_is_dropped() -> None:
    """Bytes that are no UTF-8 leave no trace in the text."""

    def lossy(begin: Callable[..., None]) -> Callable[..., None]:
        def init(self: Any, **facts: Any) -> None:
            begin(self, **facts)
            self._decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")

        return init

    replace(scripts._Performance, "__init__", lossy)
