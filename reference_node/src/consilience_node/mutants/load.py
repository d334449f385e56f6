"""Mutants of the limits on what runs at one time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed
from typing import Any

from consilience.server import answers
from consilience.server.load import Load
from consilience_node.mutants.registry import mutant, replace


def _without(limit: str) -> None:
    def careless(take: Callable[..., Any]) -> Callable[..., Any]:
        def take_place(self: Any, caller: Any, *, skill: Any, limits: Any) -> Any:
            return take(self, caller, skill=skill, limits=changed(limits, **{limit: 0}))

        return take_place

    replace(Load, "take", careless)


@mutant("callers-uncounted")
def _callers_uncounted() -> None:
    """One caller may take all places of the node."""
    _without("max_running_asks_per_caller")


@mutant("running-asks-uncounted")
def _running_asks_uncounted() -> None:
    """The node works on as many asks as come."""
    _without("max_running_asks")


@mutant("readers-uncounted")
def _readers_uncounted() -> None:
    """An answer has as many readers as come."""

    def careless(init: Callable[..., None]) -> Callable[..., None]:
        def begin(self: Any, workplace: Any, *, load: Any, max_readers: int) -> None:
            init(self, workplace, load=load, max_readers=max_readers * 1000)

        return begin

    replace(answers.Answers, "__init__", careless)


@mutant("another-limit-named")
def _another_limit_named() -> None:
    """Who has too many asks running is told that the node is full."""

    def vague(check: Callable[..., None]) -> Callable[..., None]:
        def check_limit(_: str, maximum: int, running: int) -> None:
            check("max_running_asks", maximum, running)

        return check_limit

    from consilience.server import load  # noqa: PLC0415 - the module, whose class stands above

    replace(load, "_check", vague)
