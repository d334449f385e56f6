"""Handshakes: the first line of a command under test, in which it says who it is and what it can do.

>>> line = b'{"id": 0, "protocol": "p/1", "name": "mine", "language": "Zig", "types": ["EnvelopeSign"]}'
>>> parse_handshake(line, protocol="p/1", speaker="executor", offers="types").offers
('EnvelopeSign',)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consilience_conformance.line_protocol.lines import (
    BreachKind,
    CommandBreach,
    answer_to,
    excerpt,
    malformed,
    refuse_other_fields,
)

_NAME_CHARACTERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """Who the command says it is, and what it offers: types of vectors, capabilities of a client."""

    name: str
    language: str
    offers: tuple[str, ...]


def parse_handshake(text: bytes, *, protocol: str, speaker: str, offers: str) -> Handshake:
    """Reads the first line of a command.

    Args:
        text: The line.
        protocol: What suite and command speak.
        speaker: What the command is called in messages: `executor`.
        offers: Name of the field that lists what it can do.

    Raises:
        CommandBreach: It is no handshake, or one of another protocol.
    """
    content = answer_to(text, number=0, line=1)
    spoken, name, language, listed = (content.get(field) for field in ("protocol", "name", "language", offers))
    if isinstance(spoken, str) and spoken != protocol:
        raise CommandBreach(
            f"line 1: the {speaker} speaks {excerpt(spoken)}, and this suite {protocol}",
            kind=BreachKind.PROTOCOL_UNKNOWN,
            line=1,
        )
    if not isinstance(spoken, str) or not isinstance(listed, list) or not all(map(_is_name, (name, language, *listed))):
        raise malformed(
            f"a handshake has protocol, name, language and {offers}, in short printable texts", text=text, line=1
        )
    refuse_other_fields(content, known=("id", "protocol", "name", "language", offers), line=1)
    return Handshake(name=str(name), language=str(language), offers=tuple(listed))


def _is_name(said: Any) -> bool:  # noqa: ANN401 - whatever JSON has
    return isinstance(said, str) and said.isprintable() and len(said) <= _NAME_CHARACTERS
