import sys
from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel

from consilience.asks import Outcome, StopReason
from consilience.client import Client
from consilience.errors import AnswerShapeError, UsageError
from consilience.nodes import Skill
from sdk.tests.client.scripted_nodes import AskCall, ScriptedNode

SCHEMA: dict[str, object] = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


class Animal(BaseModel):
    name: str
    legs: int


def says(text: str, **changes: object) -> object:
    async def script(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()
        yield call.log.text(text)
        yield call.log.final(**changes)  # type: ignore[arg-type]

    return script


async def test_an_answer_is_read_into_a_model(client: Client, node: ScriptedNode) -> None:
    node.on_ask = says('{"name": "ant", "legs": 6}')  # type: ignore[assignment]
    result = await client.ask("An animal?", node=node.address, answer_type=Animal)
    assert result.parsed == Animal(name="ant", legs=6)
    assert result.text == '{"name": "ant", "legs": 6}'


@pytest.mark.parametrize("text", ["an ant", "{}", '{"name": "ant", "legs": "many"}'])
async def test_an_answer_that_is_no_such_model_is_an_error_that_holds_the_text(
    client: Client, node: ScriptedNode, text: str
) -> None:
    node.on_ask = says(text)  # type: ignore[assignment]
    with pytest.raises(AnswerShapeError) as error:
        await client.ask("An animal?", node=node.address, answer_type=Animal)
    assert error.value.text == text


async def test_an_answer_is_held_against_a_schema(client: Client, node: ScriptedNode) -> None:
    node.on_ask = says('{"name": "ant"}')  # type: ignore[assignment]
    result = await client.ask("An animal?", node=node.address, answer_schema=SCHEMA)
    assert result.parsed == {"name": "ant"}


@pytest.mark.parametrize("text", ["an ant", "{}", '{"name": 7}', "[" * 100_000])
async def test_an_answer_that_does_not_fit_the_schema_is_an_error(
    client: Client, node: ScriptedNode, text: str
) -> None:
    node.on_ask = says(text)  # type: ignore[assignment]
    with pytest.raises(AnswerShapeError):
        await client.ask("An animal?", node=node.address, answer_schema=SCHEMA)


async def test_a_node_that_does_not_know_need_not_fit(client: Client, node: ScriptedNode) -> None:
    node.on_ask = says(  # type: ignore[assignment]
        "I do not know.", outcome=Outcome.ABSTAINED, stop_reason=StopReason.NO_KNOWLEDGE
    )
    result = await client.ask("An animal?", node=node.address, answer_type=Animal)
    assert (result.parsed, result.outcome) == (None, Outcome.ABSTAINED)


@pytest.mark.parametrize("accepts", [True, False])
async def test_the_schema_goes_to_skills_that_take_one(client: Client, node: ScriptedNode, *, accepts: bool) -> None:
    node.skills = (Skill(id="shape", accepts_answer_schema=accepts),)
    node.on_ask = says('{"name": "ant", "legs": 6}')  # type: ignore[assignment]
    result = await client.ask("An animal?", node=node.address, answer_type=Animal)
    assert ('"legs"' in node.logs[result.request_id].ask.value.answer_schema) is accepts


@pytest.mark.parametrize("schema", ["not json", '{"type": 7}', {"type": "nonsense"}])
async def test_a_schema_that_is_none_is_refused(client: Client, node: ScriptedNode, schema: object) -> None:
    with pytest.raises(UsageError, match="schema"):
        await client.ask("?", node=node.address, answer_schema=schema)  # type: ignore[arg-type]
    assert node.methods == []


async def test_a_class_that_is_no_model_is_refused(client: Client, node: ScriptedNode) -> None:
    with pytest.raises(UsageError, match="Pydantic"):
        await client.ask("?", node=node.address, answer_type=int)  # type: ignore[arg-type]


async def test_a_model_and_a_schema_at_once_are_refused(client: Client, node: ScriptedNode) -> None:
    with pytest.raises(UsageError, match="not both"):
        await client.ask("?", node=node.address, answer_type=Animal, answer_schema=SCHEMA)


async def test_a_schema_without_its_extra_says_what_to_install(
    client: Client, node: ScriptedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(UsageError, match=r"consilience\[schema\]"):
        await client.ask("?", node=node.address, answer_schema=SCHEMA)


async def test_a_schema_that_refers_to_the_network_is_not_followed(client: Client, node: ScriptedNode) -> None:
    node.on_ask = says("{}")  # type: ignore[assignment]
    with pytest.raises(AnswerShapeError, match="refers to http"):
        await client.ask("?", node=node.address, answer_schema={"$ref": "http://127.0.0.1:1/schema"})
