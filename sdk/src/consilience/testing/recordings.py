"""Recordings: real answers, kept as the signed exchanges that they were, and played back without a node.

A recording cannot be edited by hand: each exchange is verified before it is played, so that what a test rests on is
what some node really said.

>>> async with Client() as client:                                      # once
...     answer = await RecordedClient(Path("recordings"), client=client).ask("What is a heisenbug?", node=node)
>>> answer = await RecordedClient(Path("recordings")).ask("What is a heisenbug?", node=node)     # ever after
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from consilience._wire.envelopes import open_envelope
from consilience.asks import Answer, Ask, Blob, Outcome, Turn
from consilience.client import AskResult, Client, Exchange
from consilience.client.questions import AskOptions, turns_of
from consilience.client.shapes import shape_of
from consilience.errors import UsageError
from consilience.nodes import DataClass, NodeCard

NAME_CHARACTERS = 24


class NotRecordedError(UsageError):
    """A question has no recorded answer, and there is no client to ask with."""

    remedy = "Record it once: give RecordedClient a client and run the test against the node."


class RecordingBrokenError(UsageError):
    """A recorded exchange does not verify: it was changed, or belongs to another question."""

    remedy = "Delete the file that the message names and record it again."


class RecordedClient:
    """Plays recorded answers, and records those that are missing if it was given a client.

    Args:
        folder: Holds one exchange a question.
        client: Asks what is not recorded; None: playing only.
    """

    def __init__(self, folder: Path, *, client: Client | None = None) -> None:
        self._folder = folder
        self._client = client

    async def ask(self, question: str | Sequence[Turn], *, node: str, **options: Unpack[AskOptions]) -> AskResult:
        """Returns the recorded answer to a question, as `Client.ask` did when it was recorded.

        Args:
            question: A text, or a conversation whose last turn is the question.
            node: Asked where nothing is recorded.
            options: As `Client.ask`. Recorded answers are found by the turns, the skill, the data class, the bound on
                the output, the model and the schema; time-outs, request ids and
                `max_charge` make no difference.

        Raises:
            NotRecordedError: There is no recorded answer and no client.
            RecordingBrokenError: The recorded answer does not verify.
            ConsilienceError: As `Client.ask`, while recording.
        """
        file = self._folder / f"{_name_of(turns_of(question), options)}.json"
        if file.exists():
            return _play(file, options)
        if self._client is None:
            raise NotRecordedError(f"no answer to {question!r} is recorded in {self._folder}")
        result = await self._client.ask(question, node=node, **options)
        self._folder.mkdir(parents=True, exist_ok=True)
        result.exchange.save(file)
        return result


def _play(file: Path, options: AskOptions) -> AskResult:
    exchange = Exchange.load(file)
    if failed := [check.name for check in exchange.verify() if not check.passed]:
        raise RecordingBrokenError(f"{file} does not verify: {', '.join(failed)}")
    if exchange.ask is None:
        raise RecordingBrokenError(f"{file} holds no question")
    ask, answer = open_envelope(exchange.ask, Ask), open_envelope(exchange.answer, Answer)
    if _name_of(ask.value.turns, options) != file.stem:
        raise RecordingBrokenError(f"{file} holds the answer to another question")
    shape = shape_of(options.get("answer_type"), options.get("answer_schema"))
    answered = answer.value.outcome is Outcome.ANSWERED
    return AskResult(
        text=exchange.text,
        answer=answer,
        node=open_envelope(exchange.card, NodeCard),
        request_id=ask.value.header.request_id,
        exchange=exchange,
        parsed=shape.parse(exchange.text) if shape and answered else None,
    )


def _name_of(turns: Sequence[Turn], options: AskOptions) -> str:
    """Returns the name under which an answer is kept: a digest of everything that the answer depends on."""
    shape = shape_of(options.get("answer_type"), options.get("answer_schema"))
    facts = {
        "turns": [[turn.role.name, *map(_part, turn.parts)] for turn in turns],
        "skill": options.get("skill"),
        "data_class": (options.get("data_class") or DataClass.PUBLIC).name,
        "max_output_tokens": options.get("max_output_tokens", 0),
        "model": options.get("model"),
        "schema": shape.schema if shape else None,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:NAME_CHARACTERS]


def _part(part: str | Blob) -> list[str]:
    return ["text", part] if isinstance(part, str) else [part.media_type, part.data.hex()]
