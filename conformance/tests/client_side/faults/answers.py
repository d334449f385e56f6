"""Faults in checking an answer: each overlooks one thing that it says."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from conformance.tests.client_side.faults.registry import fault, replace
from consilience.asks import Answer
from consilience.client import arrivals
from consilience.client.arrivals import Arrivals
from consilience.nodes import NodeCard


def _overlooks(name: str, right: Callable[[Arrivals, NodeCard, Answer], dict[str, Any]]) -> None:
    """Registers the fault of a client that checks an answer as if some of its fields were right."""

    def apply() -> None:
        def make(check: Any) -> Any:
            def lenient(self: Arrivals, answer: Any, *, card: NodeCard) -> None:
                value = dataclasses.replace(answer.value, **right(self, card, answer.value))
                check(self, dataclasses.replace(answer, value=value), card=card)

            return lenient

        replace(Arrivals, "_check_answer", make)

    fault(name)(apply)


def _asked(seen: Arrivals) -> Any:
    return seen._opening.ask


def _usage(answer: Answer, count: int) -> Any:
    return dataclasses.replace(answer.usage, output_bytes=count)


_overlooks("overlooks-the-node", lambda _, card, __: {"node_id": card.node_id})
_overlooks("overlooks-the-ask", lambda seen, _, __: {"ask_digest": seen._accepted})
_overlooks("overlooks-the-card", lambda seen, _, __: {"card_digest": _asked(seen).value.card_digest})
_overlooks("overlooks-the-final-sequence", lambda seen, _, __: {"final_sequence": seen.transcript.last_sequence})
_overlooks("overlooks-the-usage", lambda _, __, answer: {"usage": _usage(answer, answer.transcript_bytes)})
_overlooks("overlooks-the-digest", lambda seen, _, __: {"transcript_digest": seen.transcript.digest})
_overlooks(
    "overlooks-the-count",
    lambda seen, _, answer: {
        "transcript_bytes": seen.transcript.size_bytes,
        "usage": _usage(answer, seen.transcript.size_bytes),
    },
)
_overlooks("overlooks-the-citations", lambda seen, _, __: {"citations": tuple(seen.transcript.citations)})
_overlooks("overlooks-who-signs", lambda _, card, __: {"signing_key": card.signing_keys[0].public_key})
_overlooks("overlooks-when-a-key-ends", lambda _, __, ___: {"finish_time": datetime(2026, 1, 1, tzinfo=UTC)})


def _forgets_the_promise(what: str) -> None:
    def apply() -> None:
        def make(check: Any) -> Any:
            return lambda answer, *, skill: check(answer, skill=dataclasses.replace(skill, **{f"gives_{what}": False}))

        replace(arrivals, "check_promises", make)

    fault(f"forgets-the-promise-of-{what}")(apply)


for _what in ("citations", "confidence", "intake"):
    _forgets_the_promise(_what)
