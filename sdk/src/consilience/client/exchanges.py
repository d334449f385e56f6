"""Exchanges: a question and its answer as they were signed, in a file that anyone can check offline.

The file is JSON: the envelopes and the responses as they travelled, in base64, and the text for people. Checking it
needs no network, no key and no trust in whoever hands it over; what it shows is that a node said this.

>>> result.exchange.save(Path("heisenbug.json"))
>>> all(check.passed for check in Exchange.load(Path("heisenbug.json")).verify())
True
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from consilience.client.checks import Check
from consilience.envelopes import Envelope
from consilience.errors import UsageError
from consilience.units import PublicKey

FORMAT = "consilience-exchange-v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Everything that was sent and received for one ask.

    Attributes:
        card: The card of the node that the ask relied on.
        ask: The ask; None where an answer was read without it, after a resume in another process.
        responses: The messages of the log as they arrived, in order; each holds one encoded event or more.
        text: The text of the answer.
        answer: What the node signed about it.
    """

    card: Envelope
    ask: Envelope | None
    responses: tuple[bytes, ...]
    text: str
    answer: Envelope

    def verify(self) -> tuple[Check, ...]:
        """Checks the whole chain from card to answer, offline, and says what was checked.

        Without the ask one check fails by name; the others tell what holds of the answer by itself.
        """
        from consilience.client.verification import verify_chain  # noqa: PLC0415 - an ask does without

        return verify_chain(card=self.card, ask=self.ask, responses=self.responses, text=self.text, answer=self.answer)

    def save(self, path: Path) -> None:
        """Writes the exchange to a file.

        Raises:
            UsageError: The file cannot be written.
        """
        document = {
            "format": FORMAT,
            "card": _envelope_to_json(self.card),
            "ask": None if self.ask is None else _envelope_to_json(self.ask),
            "responses": [_to_base64(response) for response in self.responses],
            "text": self.text,
            "answer": _envelope_to_json(self.answer),
        }
        try:
            path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"the exchange cannot be written to {path}: {error.strerror}") from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads an exchange from a file. Nothing in it is believed before `verify`.

        Raises:
            UsageError: The file cannot be read, or holds no exchange.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"{path} is no exchange: {error}") from error
        except RecursionError as error:
            raise UsageError(f"{path} is no exchange: it is nested too deeply") from error
        try:
            return cls._from_json(document)
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise UsageError(f"{path} is no exchange of the format {FORMAT}: {error}") from error

    @classmethod
    def _from_json(cls, document: Mapping[str, Any]) -> Self:
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}")
        if not isinstance(document["text"], str):
            raise TypeError("its text is none")
        return cls(
            card=_envelope_from_json(document["card"]),
            ask=None if document["ask"] is None else _envelope_from_json(document["ask"]),
            responses=tuple(_from_base64(response) for response in document["responses"]),
            text=document["text"],
            answer=_envelope_from_json(document["answer"]),
        )


def verify(exchange: Exchange) -> tuple[Check, ...]:
    """Checks an exchange offline and says what was checked; the same as `Exchange.verify`."""
    return exchange.verify()


def _envelope_to_json(envelope: Envelope) -> dict[str, str]:
    return {
        "payload_type": envelope.payload_type,
        "payload": _to_base64(envelope.payload),
        "public_key": _to_base64(envelope.public_key),
        "signature": _to_base64(envelope.signature),
    }


def _envelope_from_json(document: Mapping[str, Any]) -> Envelope:
    if not isinstance(document["payload_type"], str):
        raise TypeError("a payload_type is no text")
    return Envelope(
        payload_type=document["payload_type"],
        payload=_from_base64(document["payload"]),
        public_key=PublicKey(_from_base64(document["public_key"])),
        signature=_from_base64(document["signature"]),
    )


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"it holds bytes that are not base64: {error}") from error
