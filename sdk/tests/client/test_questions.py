from pathlib import Path

import pytest

from consilience.client import Client
from consilience.errors import DataClassForbiddenError, UsageError
from consilience.identity import KeyPair
from consilience.nodes import DataClass, Skill
from sdk.tests.client.scripted_nodes import ScriptedNode
from sdk.tests.client.wires import proxied

QUESTION = "the patient in room 12"


@pytest.mark.parametrize(
    ("ceiling", "data_class"),
    [
        (DataClass.PUBLIC, DataClass.INTERNAL),
        (DataClass.PUBLIC, DataClass.RESTRICTED),
        (DataClass.INTERNAL, DataClass.CONFIDENTIAL),
        (DataClass.CONFIDENTIAL, DataClass.RESTRICTED),
    ],
)
async def test_a_question_above_what_the_node_reads_never_leaves(
    card_file: Path, node: ScriptedNode, ceiling: DataClass, data_class: DataClass
) -> None:
    node.max_data_class = ceiling
    key = KeyPair.generate()
    async with proxied(node) as proxy, Client(key, card_file=card_file, trusted_nodes=[node.node_id]) as client:
        with pytest.raises(DataClassForbiddenError, match="nothing was sent"):
            await client.ask(QUESTION, node=proxy.address, data_class=data_class)
        assert QUESTION.encode() not in proxy.sent
        await client.ask(QUESTION, node=proxy.address)
        assert QUESTION.encode() in proxy.sent
    assert node.methods == ["GetNodeCard", "Ask"]


@pytest.mark.parametrize("data_class", [DataClass.CONFIDENTIAL, DataClass.RESTRICTED])
async def test_a_confidential_question_goes_to_nodes_on_the_list_alone(
    card_file: Path, node: ScriptedNode, data_class: DataClass
) -> None:
    node.max_data_class = DataClass.RESTRICTED
    async with proxied(node) as proxy:
        async with Client(KeyPair.generate(), card_file=card_file) as client:
            with pytest.raises(DataClassForbiddenError, match="trusted"):
                await client.ask(QUESTION, node=proxy.address, data_class=data_class)
        assert QUESTION.encode() not in proxy.sent
        async with Client(KeyPair.generate(), card_file=card_file, trusted_nodes=[node.node_id]) as client:
            await client.ask(QUESTION, node=proxy.address, data_class=data_class)
        assert QUESTION.encode() in proxy.sent


async def test_an_internal_question_goes_where_the_policy_reads_it(client: Client, node: ScriptedNode) -> None:
    node.max_data_class = DataClass.INTERNAL
    result = await client.ask("Hello?", node=node.address, data_class=DataClass.INTERNAL)
    assert node.logs[result.request_id].ask.value.data_class is DataClass.INTERNAL


async def test_a_skill_may_read_less_than_its_node(client: Client, node: ScriptedNode) -> None:
    node.max_data_class = DataClass.INTERNAL
    node.skills = (Skill(id="open", max_data_class=DataClass.PUBLIC), Skill(id="closed"))
    with pytest.raises(DataClassForbiddenError):
        await client.ask("Hello?", node=node.address, skill="open", data_class=DataClass.INTERNAL)
    await client.ask("Hello?", node=node.address, skill="closed", data_class=DataClass.INTERNAL)


async def test_the_class_of_a_client_holds_where_an_ask_names_none(card_file: Path, node: ScriptedNode) -> None:
    key = KeyPair.generate()
    async with Client(key, card_file=card_file, data_class=DataClass.INTERNAL) as client:
        with pytest.raises(DataClassForbiddenError):
            await client.ask("Hello?", node=node.address)
        await client.ask("Hello?", node=node.address, data_class=DataClass.PUBLIC)


@pytest.mark.parametrize("data_class", [DataClass.UNSPECIFIED, DataClass.UNKNOWN])
async def test_a_class_that_is_none_is_refused(client: Client, node: ScriptedNode, data_class: DataClass) -> None:
    with pytest.raises(UsageError):
        await client.ask("Hello?", node=node.address, data_class=data_class)
    assert "Ask" not in node.methods


async def test_a_conversation_without_turns_is_refused(client: Client, node: ScriptedNode) -> None:
    with pytest.raises(UsageError, match="turn"):
        await client.ask([], node=node.address)
