"""Mutants of what outlives a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consilience.errors import AnswerUnknownError
from consilience.server import answers, cards, recovery
from consilience.server.conclusions import Conclusion
from consilience.server.payments.sessions import Sessions
from consilience.server.payments.states import session_unknown
from consilience.server.store.sqlite import SqliteStore
from consilience.server.store.sqlite_ledger import SqliteLedger
from consilience.units import CardSequence
from consilience_node.mutants.registry import mutant, replace

DAY = 24 * 3600 * 10**6
"""In microseconds."""


@mutant("card-sequence-of-the-day")
def _card_sequence_of_the_day() -> None:
    """All cards of a day have one sequence, where the node was restarted in between."""

    def coarse(sequence: Callable[..., int]) -> Callable[..., int]:
        def card_sequence(time: Any) -> int:
            now = sequence(time)
            return CardSequence(now - now % DAY)

        return card_sequence

    replace(cards, "card_sequence", coarse)


@mutant("old-cards-forgotten")
def _old_cards_forgotten() -> None:
    """A durable node honours no card but the one that it shows."""

    def forgetful(_: Callable[..., Any]) -> Callable[..., Any]:
        async def honours_card(*_: Any, **__: Any) -> bool:
            return False

        return honours_card

    replace(SqliteStore, "honours_card", forgetful)


@mutant("answers-of-one-life")
def _answers_of_one_life() -> None:
    """A durable node finds no answer that an earlier life of it has bound."""
    bound: set[Any] = set()

    def noting(bind: Callable[..., Any]) -> Callable[..., Any]:
        async def bind_and_note(self: Any, ask: Any, **others: Any) -> Any:
            bound.add(ask.key)
            return await bind(self, ask, **others)

        return bind_and_note

    def forgetful(find: Callable[..., Any]) -> Callable[..., Any]:
        async def find_of_this_life(self: Any, key: Any) -> Any:
            return await find(self, key) if key in bound else None

        return find_of_this_life

    replace(SqliteStore, "bind", noting)
    replace(SqliteStore, "find", forgetful)


@mutant("interrupted-as-an-answer")
def _interrupted_as_an_answer() -> None:
    """An answer that a restart interrupted ends as if it were whole."""
    replace(recovery, "_INTERRUPTED", lambda _: Conclusion())


@mutant("wrong-replica-unsaid")
def _wrong_replica_unsaid() -> None:
    """A replica that cannot serve a call says that there is no such answer."""

    def unsaid(_: Callable[..., Any]) -> Callable[..., Any]:
        def wrong_replica(_: str) -> AnswerUnknownError:
            return AnswerUnknownError("there is no answer here")

        return wrong_replica

    replace(answers, "_wrong_replica", unsaid)


@mutant("sessions-of-one-life")
def _sessions_of_one_life() -> None:
    """A durable node finds no session that an earlier life of it has opened."""
    opened: set[Any] = set()

    def noting(open_session: Callable[..., Any]) -> Callable[..., Any]:
        async def open_and_note(self: Any, session: Any) -> Any:
            opened.add(session.session_id)
            return await open_session(self, session)

        return open_and_note

    def forgetful(find: Callable[..., Any]) -> Callable[..., Any]:
        async def find_of_this_life(self: Any, session_id: Any, **more: Any) -> Any:
            if session_id not in opened:
                raise session_unknown()
            return await find(self, session_id, **more)

        return find_of_this_life

    replace(SqliteLedger, "open_session", noting)
    replace(Sessions, "find", forgetful)


@mutant("interrupted-answers-cost-all")
def _interrupted_answers_cost_all() -> None:
    """An answer that a restart interrupted costs all that was set aside for it."""

    def greedy(read: Callable[..., Any]) -> Callable[..., Any]:
        def counting(entries: Any) -> Any:
            log = read(entries)
            log.metered = 2**62
            return log

        return counting

    replace(recovery, "_read", greedy)
