import base64
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consilience._wire.envelopes import open_envelope, seal
from consilience.asks import Ask, Citation, Confidence
from consilience.client import Client, Exchange, verify
from consilience.envelopes import Envelope
from consilience.errors import UsageError
from consilience.identity import KeyPair
from consilience.nodes import DataClass, Skill
from consilience.units import Digest
from sdk.tests.client.scripted_nodes import AskCall, ScriptedNode


async def cite(call: AskCall) -> AsyncIterator[bytes]:
    log = call.log
    yield log.accepted()
    yield log.text("Größe: ")
    yield log.add(Citation(origin=Digest(bytes(32))))
    yield log.text("1")
    yield log.final(confidence=Confidence(method="test", p_correct=0.5))


@pytest.fixture
async def exchange(client: Client, node: ScriptedNode) -> Exchange:
    node.skills = (Skill(id="greet", gives_citations=True, gives_confidence=True),)
    node.on_ask = cite
    return (await client.ask("Hello?", node=node.address)).exchange


def failed(exchange: Exchange) -> set[str]:
    """Returns the requirements that an exchange does not meet."""
    return {check.requirement for check in exchange.verify() if not check.passed}


async def test_an_honest_exchange_passes_every_check_and_says_which(exchange: Exchange) -> None:
    checks = exchange.verify()
    assert all(check.passed for check in checks)
    assert {check.requirement for check in checks} >= {
        "SIG-ENV-001",
        "NODE-CARD-005",
        "SIG-HDR-002",
        "ASK-CARD-001",
        "ASK-DATA-002",
        "ASK-ANS-001",
        "ASK-ANS-002",
        "ASK-ANS-003",
        "ASK-ANS-004",
        "ASK-ANS-005",
        "STRM-LOG-003",
        "STRM-TXT-002",
    }
    assert all(check.explanation and check.name for check in checks)


async def test_an_exchange_survives_its_file(exchange: Exchange, tmp_path: Path) -> None:
    exchange.save(tmp_path / "exchange.json")
    loaded = Exchange.load(tmp_path / "exchange.json")
    assert loaded == exchange
    assert failed(loaded) == set()
    assert "Größe: 1" in (tmp_path / "exchange.json").read_text("utf-8")


async def test_without_the_ask_the_rest_is_checked_and_the_lack_of_it_fails(exchange: Exchange) -> None:
    checks = verify(replace(exchange, ask=None))
    assert [check.explanation for check in checks if not check.passed] == [
        "the question is not in this file, so nothing shows what was answered"
    ]
    assert {"STRM-TXT-002", "ASK-ANS-001"} <= {check.requirement for check in checks if check.passed}
    assert "ASK-CARD-001" not in {check.requirement for check in checks}


def flipped(envelope: Envelope) -> Envelope:
    return replace(envelope, signature=bytes([envelope.signature[0] ^ 1]) + envelope.signature[1:])


def other_ask(exchange: Exchange, *, resign: bool = True, **changes: Any) -> Envelope:
    assert exchange.ask is not None
    ask = replace(open_envelope(exchange.ask, Ask).value, **changes)
    key = KeyPair.generate()
    return seal(replace(ask, header=replace(ask.header, caller=key.public_key)), signer=key).envelope


FORGERIES: dict[str, tuple[Callable[[Exchange], Exchange], str]] = {
    "the card": (lambda exchange: replace(exchange, card=flipped(exchange.card)), "SIG-ENV-001"),
    "the ask": (lambda exchange: replace(exchange, ask=flipped(exchange.ask or exchange.card)), "SIG-ENV-001"),
    "the answer": (lambda exchange: replace(exchange, answer=flipped(exchange.answer)), "SIG-ENV-001"),
    "the text": (lambda exchange: replace(exchange, text="Größe: 2"), "STRM-TXT-002"),
    "an event left out": (
        lambda exchange: replace(exchange, responses=exchange.responses[:1] + exchange.responses[2:]),
        "STRM-LOG-001",
    ),
    "the end left out": (lambda exchange: replace(exchange, responses=exchange.responses[:-1]), "STRM-LOG-003"),
    "an event bent": (
        lambda exchange: replace(
            exchange,
            responses=(*exchange.responses[:3], exchange.responses[3].replace(b"1", b"2"), *exchange.responses[4:]),
        ),
        "STRM-TXT-002",
    ),
    "garbage": (lambda exchange: replace(exchange, responses=(b"\xff",)), "ERR-FLD-001"),
    "another question": (lambda exchange: replace(exchange, ask=other_ask(exchange)), "ASK-ANS-002"),
    "a question about another card": (
        lambda exchange: replace(exchange, ask=other_ask(exchange, card_digest=Digest(bytes(32)))),
        "ASK-CARD-001",
    ),
    "a question too secret": (
        lambda exchange: replace(exchange, ask=other_ask(exchange, data_class=DataClass.RESTRICTED)),
        "ASK-DATA-002",
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_exchange_fails_the_check_that_sees_it(exchange: Exchange, forgery: str) -> None:
    forge, requirement = FORGERIES[forgery]
    assert requirement in failed(forge(exchange))


async def test_a_card_of_another_node_fails(exchange: Exchange) -> None:
    other = ScriptedNode(port=1)
    other.skills = (Skill(id="greet"),)
    stranger = seal(replace(other.card_value()), signer=other.root).envelope
    assert failed(replace(exchange, card=stranger)) >= {"ASK-ANS-001", "ASK-ANS-002", "ASK-CARD-001", "SIG-HDR-002"}


async def test_a_promise_that_the_answer_does_not_keep_is_seen(client: Client, node: ScriptedNode) -> None:
    exchange = (await client.ask("Hello?", node=node.address)).exchange
    node.skills = (Skill(id="greet", gives_citations=True, gives_intake=True),)
    promises = [check for check in replace(exchange, card=node.card().envelope).verify() if "promise" in check.name]
    assert [(check.requirement, check.explanation) for check in promises] == [
        ("ASK-ANS-005", "missing: citations, intake")
    ]


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("card"),
        lambda document: document.update(format="something else"),
        lambda document: document.update(text=7),
        lambda document: document.update(responses=7),
        lambda document: document.update(responses=["not base64!"]),
        lambda document: document.update(card="nothing"),
        lambda document: document["answer"].pop("signature"),
        lambda document: document["answer"].update(signature=None),
        lambda document: document["answer"].update(payload_type=["text"]),
    ],
)
async def test_a_file_that_is_no_exchange_is_told_so(
    exchange: Exchange, tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    path = tmp_path / "exchange.json"
    exchange.save(path)
    document = json.loads(path.read_text("utf-8"))
    change(document)
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(UsageError, match=r"exchange\.json"):
        Exchange.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"7", b"\xff\xfe", b"[" * 100_000, b'{"format": "consilience-exchange-v1"}']
)
def test_a_file_of_anything_else_is_told_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UsageError):
        Exchange.load(tmp_path / "file")


def test_a_file_nested_as_deeply_as_can_be_read_is_told_so(tmp_path: Path) -> None:
    for depth in range(800, 1000):
        (tmp_path / "file").write_text('{"format":' + "[" * depth + "]" * depth + "}")
        with pytest.raises(UsageError):
            Exchange.load(tmp_path / "file")


async def test_a_file_that_cannot_be_read_or_written_is_told_so(exchange: Exchange, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Exchange.load(tmp_path / "missing")
    with pytest.raises(UsageError, match="cannot be written"):
        exchange.save(tmp_path / "missing" / "exchange.json")


async def test_the_file_holds_what_travelled(exchange: Exchange, tmp_path: Path) -> None:
    exchange.save(tmp_path / "exchange.json")
    document = json.loads((tmp_path / "exchange.json").read_text("utf-8"))
    assert base64.b64decode(document["answer"]["payload"]) == exchange.answer.payload
    assert [base64.b64decode(response) for response in document["responses"]] == list(exchange.responses)
