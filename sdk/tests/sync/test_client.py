import asyncio
import inspect
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consilience import client as asynchronous
from consilience.asks import Accepted, Final, Outcome, StopReason, TextDelta
from consilience.errors import (
    AnswerTimeoutError,
    AnswerUnknownError,
    ForkedError,
    ProtocolError,
    SkillUnknownError,
    UsageError,
)
from consilience.identity import KeyPair
from consilience.sync import AnswerStream, Client
from consilience.sync.payments import PaymentDesk
from consilience.sync.reviews import ReviewDesk
from sdk.tests.client.scripted_nodes import AskCall, ScriptedNode


async def babble(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    while True:
        yield call.log.text("and ")
        await asyncio.sleep(0.001)


def test_an_ask_is_answered(client: Client, node: ScriptedNode) -> None:
    result = client.ask("Hello?", node=node.address)
    assert result.text == "Hello, world."
    assert all(check.passed for check in result.exchange.verify())


def test_a_stream_is_read_by_a_plain_for(client: Client, node: ScriptedNode) -> None:
    with client.stream("Hello?", node=node.address) as stream:
        assert stream.card.value.node_id == node.root.public_key
        assert list(stream) == ["Hello, ", "world."]
        assert stream.text == "Hello, world."
        assert stream.final().outcome is Outcome.ANSWERED


def test_events_are_read_by_a_plain_for(client: Client, node: ScriptedNode) -> None:
    with client.stream("Hello?", node=node.address) as stream:
        assert [type(entry.event) for entry in stream.events()] == [Accepted, TextDelta, TextDelta, Final]


def test_leaving_the_block_early_cancels_the_ask_at_the_node(client: Client, node: ScriptedNode) -> None:
    node.on_ask = babble
    with client.stream("Hello?", node=node.address) as stream:
        for _ in stream:
            break
    assert node.methods[-1] == "CancelAnswer"


def test_an_answer_is_cancelled_looked_at_and_resumed(client: Client, node: ScriptedNode) -> None:
    async def stall(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()
        yield call.log.text("Well, ")
        await call.log.ended.wait()
        yield call.log.after(2)[0]

    node.on_ask = stall
    with client.stream("Hello?", node=node.address) as stream:
        assert next(stream) == "Well, "
        request_id = stream.detach()
    assert client.get(request_id, node=node.address).text == "Well, "
    answer = client.cancel(request_id, node=node.address)
    assert answer.value.stop_reason is StopReason.CANCELLED
    with client.resume(request_id, node=node.address) as resumed:
        assert resumed.request_id == request_id
        assert resumed.final().answer.digest == answer.digest


def test_a_stream_cancels_itself(client: Client, node: ScriptedNode) -> None:
    node.on_ask = babble
    with client.stream("Hello?", node=node.address) as stream:
        assert stream.cancel().value.outcome is Outcome.CANCELLED


def test_errors_are_those_of_the_client(client: Client, node: ScriptedNode) -> None:
    async def refuse(call: AskCall) -> AsyncIterator[bytes]:
        raise SkillUnknownError("no")
        yield b""

    node.on_ask = refuse
    with pytest.raises(SkillUnknownError):
        client.ask("Hello?", node=node.address)
    node.on_ask = babble
    with pytest.raises(AnswerTimeoutError):
        client.ask("Hello?", node=node.address, timeout=0.2)
    with pytest.raises(AnswerUnknownError):
        client.get(bytes(16), node=node.address)  # type: ignore[arg-type]
    with pytest.raises(ProtocolError):
        client.card(f"{ScriptedNode().node_id}@{node.authority}")


def test_threads_share_a_client(client: Client, node: ScriptedNode) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: client.ask("Hello?", node=node.address), range(16)))
    assert {result.text for result in results} == {"Hello, world."}
    assert node.methods.count("GetNodeCard") == 1


async def test_it_works_where_a_loop_is_running_as_in_a_notebook(client: Client, node: ScriptedNode) -> None:
    assert asyncio.get_running_loop().is_running()
    assert client.ask("Hello?", node=node.address).text == "Hello, world."


def test_a_closed_client_says_so(card_file: Path, node: ScriptedNode) -> None:
    with Client(KeyPair.generate(), card_file=card_file) as client:
        stream = client.stream("Hello?", node=node.address)
    client.close()
    for use in (lambda: client.ask("Hello?", node=node.address), lambda: client.card(node.address)):
        with pytest.raises(UsageError, match="closed"):
            use()
    with pytest.raises(UsageError, match="closed"):
        stream.__enter__()


def test_every_method_of_the_client_is_here_with_the_same_arguments() -> None:
    pairs = (
        (Client, asynchronous.Client),
        (AnswerStream, asynchronous.AnswerStream),
        (PaymentDesk, asynchronous.PaymentDesk),
        (ReviewDesk, asynchronous.ReviewDesk),
    )
    for ours, theirs in pairs:
        names = {name for name in vars(theirs) if not name.startswith("_")}
        assert names == {name for name in vars(ours) if not name.startswith("_")}
        properties = {name for name in names if isinstance(getattr(theirs, name), property)}
        assert properties == {name for name in names if isinstance(getattr(ours, name), property)}
        for name in names - properties:
            parameters = inspect.signature(getattr(theirs, name)).parameters
            assert list(inspect.signature(getattr(ours, name)).parameters) == list(parameters)
    assert inspect.signature(Client).parameters == inspect.signature(asynchronous.Client).parameters


def run(code: str, folder: Path) -> str:
    """Runs a program of its own and returns what it printed."""
    child = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(folder / "cards.sqlite")],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "GRPC_VERBOSITY": "NONE"},
    )
    assert child.stderr == ""
    return child.stdout


def test_a_client_that_was_made_before_a_fork_refuses_in_the_child(tmp_path: Path) -> None:
    printed = run(
        """
import os, sys
from pathlib import Path
from consilience import KeyPair
from consilience.errors import ForkedError
from consilience.sync import Client

with Client(KeyPair.generate(), card_file=Path(sys.argv[1])) as client:
    if os.fork() == 0:
        for use in (
            lambda: client.ask("Hello?", node="127.0.0.1:1"),
            lambda: client.stream("Hello?", node="127.0.0.1:1"),
            lambda: client.card("127.0.0.1:1"),
        ):
            try:
                use()
            except ForkedError as error:
                print(error.remedy, flush=True)
        client.close()
        os._exit(0)
    os.wait()
""",
        tmp_path,
    )
    assert printed.splitlines() == [ForkedError.remedy] * 3


def test_a_forked_child_may_make_a_client_of_its_own(tmp_path: Path) -> None:
    printed = run(
        """
import os, sys
from pathlib import Path
from consilience import KeyPair
from consilience.errors import UnreachableError
from consilience.sync import Client

with Client(KeyPair.generate(), card_file=Path(sys.argv[1])):
    if os.fork() == 0:
        with Client(KeyPair.generate(), card_file=Path(sys.argv[1])) as own:
            try:
                own.card("127.0.0.1:1")
            except UnreachableError:
                print("unreachable", flush=True)
        os._exit(0)
    os.wait()
""",
        tmp_path,
    )
    assert printed == "unreachable\n"


def test_a_client_that_nobody_closed_does_not_keep_the_program_alive(tmp_path: Path) -> None:
    printed = run(
        """
import sys
from pathlib import Path
from consilience import KeyPair
from consilience.sync import Client
from sdk.tests.client.scripted_nodes import ScriptedNode
from consilience.sync import background

node = ScriptedNode()
background.hold().run(node.__aenter__())
client = Client(KeyPair.generate(), card_file=Path(sys.argv[1]))
print(client.ask("Hello?", node=node.address).text)
""",
        tmp_path,
    )
    assert printed == "Hello, world.\n"


def test_ctrl_c_cancels_the_ask_at_the_node(tmp_path: Path) -> None:
    printed = run(
        """
import asyncio, os, signal, sys, threading
from pathlib import Path
from consilience import KeyPair
from consilience.sync import Client, background
from sdk.tests.client.scripted_nodes import ScriptedNode

async def stall(call):
    yield call.log.accepted()
    yield call.log.text("Well, ")
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.Event().wait()

loop = background.hold()
node = ScriptedNode(on_ask=stall)
loop.run(node.__aenter__())
with Client(KeyPair.generate(), card_file=Path(sys.argv[1])) as client:
    try:
        client.ask("Hello?", node=node.address)
    except KeyboardInterrupt:
        print(*node.methods)
    try:
        with client.stream("Hello?", node=node.address) as stream:
            for text in stream:
                print(text)
    except KeyboardInterrupt:
        print(*node.methods[2:])
loop.run(node.stop())
background.release(loop)
""",
        tmp_path,
    )
    assert printed.splitlines() == ["GetNodeCard Ask CancelAnswer", "Well, ", "CancelAnswer Ask CancelAnswer"] or (
        printed.splitlines() == ["GetNodeCard Ask CancelAnswer", "CancelAnswer Ask CancelAnswer"]
    )
