"""Faults in checking an answer: each overlooks one thing that it says."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from conformance.tests.client_side.faults.registry import fault
from consilience.asks import Answer
from consilience.client import readers
from consilience.client.readers import LogReader
from consilience_node.mutants.registry import replace


def _overlooks(name: str, right: Callable[[LogReader, Answer], dict[str, Any]]) -> None:
    """Registers the fault of a client that checks an answer as if some of its fields were right."""

    def apply() -> None:
        def make(check: Any) -> Any:
            def lenient(self: LogReader, answer: Any) -> None:
                value = dataclasses.replace(answer.value, **right(self, answer.value))
                check(self, dataclasses.replace(answer, value=value))

            return lenient

        replace(LogReader, "_check_answer", make)

    fault(name)(apply)


def _usage(answer: Answer, count: int) -> Any:
    return dataclasses.replace(answer.usage, output_bytes=count)


_overlooks("overlooks-the-node", lambda reader, _: {"node_id": reader.card.value.node_id})
_overlooks("overlooks-the-ask", lambda reader, _: {"ask_digest": reader._ask_digest})
_overlooks("overlooks-the-card", lambda reader, _: {"card_digest": reader.card.digest})
_overlooks("overlooks-the-final-sequence", lambda reader, _: {"final_sequence": reader.transcript.last_sequence})
_overlooks("overlooks-the-usage", lambda _, answer: {"usage": _usage(answer, answer.transcript_bytes)})
_overlooks("overlooks-the-digest", lambda reader, _: {"transcript_digest": reader.transcript.digest})
_overlooks(
    "overlooks-the-count",
    lambda reader, answer: {
        "transcript_bytes": reader.transcript.size_bytes,
        "usage": _usage(answer, reader.transcript.size_bytes),
    },
)
_overlooks("overlooks-the-citations", lambda reader, _: {"citations": tuple(reader.transcript.citations)})
_overlooks("overlooks-who-signs", lambda reader, _: {"signing_key": reader.card.value.signing_keys[0].public_key})
_overlooks("overlooks-when-a-key-ends", lambda _, __: {"finish_time": datetime(2026, 1, 1, tzinfo=UTC)})


def _forgets_the_promise(what: str) -> None:
    def apply() -> None:
        def make(check: Any) -> Any:
            return lambda answer, *, skill: check(answer, skill=dataclasses.replace(skill, **{f"gives_{what}": False}))

        replace(readers, "check_promises", make)

    fault(f"forgets-the-promise-of-{what}")(apply)


for _what in ("citations", "confidence", "intake"):
    _forgets_the_promise(_what)
