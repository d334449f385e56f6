"""Makes node_ids.json: the one text form of a key, and what only looks like it."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from consilience_conformance.vectors.generator.actors import ASKER, NODE
from consilience_conformance.vectors.generator.layout import BugType, Case, Group, Note, Refused, VectorFile

_REFUSED = Refused(requirement="NODE-ID-001")
_NOTES = {
    "Plain": Note(bug_type=BugType.BASIC, description="The text form of a key."),
    "WrongPrefix": Note(bug_type=BugType.MISSING_CHECK, description="It does not begin with cn1."),
    "WrongLength": Note(bug_type=BugType.MISSING_CHECK, description="It has not 55 characters."),
    "WrongCharacter": Note(bug_type=BugType.MISSING_CHECK, description="A character is none of a-z and 2-7."),
    "SecondForm": Note(
        bug_type=BugType.DISAGREEMENT,
        description="A lenient reader gets a key from it that has another text form, so two texts name one node.",
    ),
}


def node_id(key: bytes) -> str:
    """Returns the text form of a key of 32 bytes."""
    return "cn1" + base64.b32encode(key).decode().rstrip("=").lower()


def make() -> VectorFile:
    """Returns the file."""
    return VectorFile(
        name="node_ids",
        subject="The text form of a node id: cn1 and lower-case base32 without padding.",
        spec="docs/spec/1-nodes.md",
        notes=_NOTES,
        groups=[
            Group(type="NodeIdText", comment="Keys and their text forms", cases=[*_valid()]),
            Group(type="NodeIdText", comment="Texts that are no node id", cases=[*_invalid()]),
        ],
    )


def _valid() -> Iterator[Case]:
    samples = {
        "the key of a node": NODE.public_key,
        "the key of an asker": ASKER.public_key,
        "zeros: the text form does not ask whether a key is a point": bytes(32),
        "ones": b"\xff" * 32,
        "the bytes 0 to 31": bytes(range(32)),
    }
    for comment, key in samples.items():
        yield Case(comment=comment, flags=["Plain"], inputs={"text": node_id(key), "publicKey": key.hex()})


def _invalid() -> Iterator[Case]:
    good = node_id(NODE.public_key)
    with_s = next(
        text for text in map(node_id, map(bytes, (range(start, start + 32) for start in range(99)))) if "s" in text
    )
    samples: list[tuple[str, str, str]] = [
        ("nothing", "", "WrongLength"),
        ("the prefix alone", "cn1", "WrongLength"),
        ("another version in the prefix", "cn2" + good[3:], "WrongPrefix"),
        ("no prefix", good[3:], "WrongPrefix"),
        ("the prefix of another length", "c1" + good[3:] + "a", "WrongPrefix"),
        ("one character too few", good[:-1], "WrongLength"),
        ("one character too many", good + "a", "WrongLength"),
        ("a 0 for an o", good[:10] + "0" + good[11:], "WrongCharacter"),
        ("a 1 for an l", good[:10] + "1" + good[11:], "WrongCharacter"),
        ("an 8", good[:10] + "8" + good[11:], "WrongCharacter"),
        ("a hyphen", good[:10] + "-" + good[11:], "WrongCharacter"),
        ("hexadecimal", "cn1" + NODE.public_key.hex()[:52], "WrongCharacter"),
        ("all in capitals", good.upper(), "SecondForm"),
        ("the body in capitals", "cn1" + good[3:].upper(), "SecondForm"),
        ("the prefix in capitals", "CN1" + good[3:], "SecondForm"),
        ("one capital", good[:3] + good[3].upper() + good[4:], "SecondForm"),
        ("padding", good + "====", "SecondForm"),
        ("padding in the place of a character", good[:-1] + "=", "SecondForm"),
        ("a space before", " " + good, "SecondForm"),
        ("a line break after", good + "\n", "SecondForm"),
        ("a line break inside, one character less", good[:20] + "\n" + good[21:], "SecondForm"),
        ("a long s, which is an s once in capitals", with_s.replace("s", "\u017f", 1), "SecondForm"),
        ("full-width letters", "cn1" + "".join(chr(ord(letter) + 0xFEE0) for letter in good[3:]), "SecondForm"),
    ]
    samples += [
        (f"spare bits that are not zero: {spare}", _with_spare_bits(good, spare), "SecondForm") for spare in (1, 8, 15)
    ]
    for comment, text, flag in samples:
        yield Case(comment=comment, flags=[flag], inputs={"text": text}, refused=_REFUSED)


def _with_spare_bits(text: str, bits: int) -> str:
    """Returns a text form whose last character, of which one bit counts, holds other spare bits."""
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    return text[:-1] + alphabet[alphabet.index(text[-1]) | bits]
