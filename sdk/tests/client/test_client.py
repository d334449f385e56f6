import subprocess
import sys
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.errors import AddressInvalidError, KeyFileError, UsageError
from consilience.identity import KeyPair
from sdk.tests.client.scripted_nodes import ScriptedNode


async def caller_of(client: Client, node: ScriptedNode) -> bytes:
    result = await client.ask("Hello?", node=node.address)
    return node.logs[result.request_id].ask.value.header.caller


async def test_the_key_of_the_user_is_made_at_its_first_use_and_kept(
    tmp_path: Path, card_file: Path, node: ScriptedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONSILIENCE_KEY_FILE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "consilience" / "key"
    async with Client(card_file=card_file) as client:
        await client.card(node.address)
        assert not path.exists()
        first = await caller_of(client, node)
    assert path.stat().st_mode & 0o777 == 0o600
    async with Client(card_file=card_file) as client:
        assert await caller_of(client, node) == first == KeyPair.load(path).public_key


async def test_the_environment_may_name_the_key_file(
    tmp_path: Path, card_file: Path, node: ScriptedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = KeyPair.generate()
    key.save(tmp_path / "mine")
    monkeypatch.setenv("CONSILIENCE_KEY_FILE", str(tmp_path / "mine"))
    async with Client(card_file=card_file) as client:
        assert await caller_of(client, node) == key.public_key


async def test_a_key_may_be_given_as_a_file_or_as_a_signer(tmp_path: Path, card_file: Path, node: ScriptedNode) -> None:
    key = KeyPair.generate()
    path = tmp_path / "mine"
    key.save(path)
    for given in (path, str(path), key):
        async with Client(given, card_file=card_file) as client:
            assert await caller_of(client, node) == key.public_key


async def test_a_key_file_that_was_named_and_is_missing_is_not_made(
    tmp_path: Path, card_file: Path, node: ScriptedNode
) -> None:
    async with Client(tmp_path / "missing", card_file=card_file) as client:
        with pytest.raises(KeyFileError):
            await client.ask("Hello?", node=node.address)
    assert "Ask" not in node.methods


def test_a_trusted_node_that_is_no_node_id_is_refused() -> None:
    with pytest.raises(AddressInvalidError):
        Client(trusted_nodes=["my friend"])


async def test_a_request_id_of_another_length_is_refused(client: Client, node: ScriptedNode) -> None:
    with pytest.raises(UsageError, match="16"):
        await client.ask("Hello?", node=node.address, request_id=b"short")  # type: ignore[arg-type]


async def test_a_closed_client_says_so(client: Client, node: ScriptedNode) -> None:
    await client.ask("Hello?", node=node.address)
    early = client.stream("Hello?", node=node.address)
    earlier = client.stream("Hello?", node=f"http://{node.authority}")
    await client.close()
    await client.close()
    for stream in (early, earlier):
        with pytest.raises(UsageError, match="closed"):
            await stream.__aenter__()
    with pytest.raises(UsageError, match="closed"):
        await client.ask("Hello?", node=node.address)
    with pytest.raises(UsageError, match="closed"):
        await client.card(node.address)


def test_importing_the_client_costs_little_beyond_grpc() -> None:
    """Heavy libraries wait until somebody needs them."""
    code = "import sys; from consilience import Client; print(*sys.modules)"
    names = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "grpc" in names
    assert not {"jsonschema", "pydantic", "importlib.metadata", "cryptography", "sqlalchemy"} & set(names)


def test_a_client_that_was_made_before_a_fork_says_so(tmp_path: Path) -> None:
    code = f"""
import os, sys
from pathlib import Path
from consilience import Client, KeyPair
from consilience.errors import ForkedError

client = Client(KeyPair.generate(), card_file=Path({str(tmp_path / "cards.sqlite")!r}))
if os.fork() == 0:
    try:
        client.stream("Hello?", node="127.0.0.1:1")
    except ForkedError as error:
        print(error, flush=True)
    os._exit(0)
os.wait()
"""
    child = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "forked" in child.stdout


def test_ctrl_c_cancels_the_ask_at_the_node(tmp_path: Path) -> None:
    code = f"""
import asyncio, os, signal
from pathlib import Path
from consilience import Client, KeyPair
from sdk.tests.client.scripted_nodes import ScriptedNode

async def stall(call):
    yield call.log.accepted()
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.Event().wait()

async def main():
    async with ScriptedNode(on_ask=stall) as node:
        try:
            async with Client(KeyPair.generate(), card_file=Path({str(tmp_path / "cards.sqlite")!r})) as client:
                await client.ask("Hello?", node=node.address)
        finally:
            print(*node.methods)

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    child = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert child.stdout.splitlines() == ["GetNodeCard Ask CancelAnswer", "interrupted"]
