import math
from pathlib import Path
from typing import Any

import pytest

from consilience.asks import Role, Turn
from consilience.client import Client
from consilience.errors import UsageError
from consilience.identity import KeyPair
from consilience.nodes import DataClass
from consilience.sync import Client as SyncClient
from sdk.tests.client.scripted_nodes import ScriptedNode

WRONG_OPTIONS: list[tuple[str, object]] = [
    *(("timeout", value) for value in (math.inf, math.nan, -1, 0, 1e300, "x", True)),
    *(("first_token_timeout", value) for value in (math.inf, math.nan, -1, "x")),
    *(("max_output_tokens", value) for value in (10**22, -1, 1.5, "x", None, True)),
    *(("max_hidden_tokens", value) for value in (10**22, -1, "x")),
    *(("skill", value) for value in (5, b"greet", "\udc80")),
    *(("model", value) for value in (5, "\udc80")),
    *(("data_class", value) for value in ("public", 1, 4)),
    ("request_id", "x" * 16),
    ("request_id", b"short"),
    ("on_disconnect", "cancel"),
    ("allow_truncation", "no"),
    ("answer_type", 5),
    ("answer_schema", 5),
    ("answer_schema", "[" * 100_000),
    ("answer_schema", {"const": object()}),
]


@pytest.mark.parametrize(("name", "value"), WRONG_OPTIONS)
async def test_an_option_that_cannot_be_is_refused_by_name_and_nothing_is_sent(
    client: Client, node: ScriptedNode, name: str, value: object
) -> None:
    options: dict[str, Any] = {name: value}
    with pytest.raises(UsageError, match=name):
        await client.ask("Hello?", node=node.address, **options)
    assert node.methods == []


@pytest.mark.parametrize("name", ["dataclass", "max_output_token", "nonsense"])
async def test_an_option_that_there_is_not_is_refused_by_name_and_nothing_is_sent(
    client: Client, node: ScriptedNode, name: str
) -> None:
    options: dict[str, Any] = {name: DataClass.RESTRICTED}
    with pytest.raises(UsageError, match=f"'{name}'.* data_class"):
        await client.ask("Hello?", node=node.address, **options)
    assert node.methods == []


def test_the_client_without_async_refuses_an_unknown_option_as_well(card_file: Path) -> None:
    options: dict[str, Any] = {"dataclass": DataClass.RESTRICTED}
    with SyncClient(KeyPair.generate(), card_file=card_file) as client:
        with pytest.raises(UsageError, match="dataclass"):
            client.ask("Hello?", node="127.0.0.1:1", **options)
        with pytest.raises(UsageError, match="dataclass"):
            client.stream("Hello?", node="127.0.0.1:1", **options)


@pytest.mark.parametrize(
    "question",
    [
        None,
        [],
        5,
        b"Hello?",
        ["Hello?"],
        "half a pair: \udc80",
        [Turn(role=Role.ASKER, parts=("half a pair: \ud800",))],
        [Turn(role="user", parts=("Hello?",))],  # type: ignore[arg-type]
        [Turn(role=Role.ASKER, parts="Hello?")],  # type: ignore[arg-type]
        [Turn(role=Role.ASKER, parts=(b"Hello?",))],  # type: ignore[arg-type]
    ],
)
async def test_a_question_that_is_none_is_refused_and_nothing_is_sent(
    client: Client, node: ScriptedNode, question: Any
) -> None:
    with pytest.raises(UsageError, match="question"):
        await client.ask(question, node=node.address)
    assert node.methods == []


@pytest.mark.parametrize("reference", [None, 5, b"127.0.0.1:1", KeyPair.generate()])
async def test_a_node_that_is_none_is_refused_by_every_method(client: Client, reference: Any) -> None:
    request_id: Any = bytes(16)
    with pytest.raises(UsageError, match="node"):
        await client.ask("Hello?", node=reference)
    with pytest.raises(UsageError, match="node"):
        client.resume(request_id, node=reference)
    for call in (client.get(request_id, node=reference), client.cancel(request_id, node=reference)):
        with pytest.raises(UsageError, match="node"):
            await call
    with pytest.raises(UsageError, match="node"):
        await client.card(reference)


async def test_an_address_that_cannot_be_written_down_is_refused(client: Client) -> None:
    with pytest.raises(UsageError):
        await client.ask("Hello?", node="\udc80:7341")


@pytest.mark.parametrize("request_id", [None, "x" * 16, b"short", 5])
async def test_no_request_id_is_invented_for_an_answer_that_is_to_be_there(
    client: Client, node: ScriptedNode, request_id: Any
) -> None:
    with pytest.raises(UsageError, match="request_id"):
        client.resume(request_id, node=node.address)
    for call in (client.get(request_id, node=node.address), client.cancel(request_id, node=node.address)):
        with pytest.raises(UsageError, match="request_id"):
            await call
    assert node.methods == []


@pytest.mark.parametrize("seconds", [math.inf, math.nan, -1, "x"])
async def test_the_patience_of_a_resume_is_a_number_of_seconds(client: Client, seconds: Any) -> None:
    request_id: Any = bytes(16)
    with pytest.raises(UsageError, match="timeout"):
        client.resume(request_id, node="127.0.0.1:1", timeout=seconds)
    with pytest.raises(UsageError, match="first_token_timeout"):
        client.resume(request_id, node="127.0.0.1:1", first_token_timeout=seconds)


@pytest.mark.parametrize(
    ("name", "value"), [("data_class", "restricted"), ("call_timeout", math.inf), ("call_timeout", "x")]
)
def test_a_client_is_not_made_of_what_cannot_be(name: str, value: object) -> None:
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(UsageError, match=name):
        Client(**arguments)


async def test_the_error_about_a_question_does_not_repeat_it(client: Client, node: ScriptedNode) -> None:
    with pytest.raises(UsageError) as refusal:
        await client.ask("the patient in room 12 \udc80", node=node.address)
    assert "patient" not in str(refusal.value)


async def test_what_can_be_is_taken(client: Client, node: ScriptedNode) -> None:
    conversation = [Turn(role=Role.ASKER, parts=("Hello, ", "node?"))]
    await client.ask(conversation, node=node.address, timeout=None, max_output_tokens=2**63 - 1, skill=None)
    assert node.methods[-1] == "Ask"
