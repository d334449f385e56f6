"""Steps of a wallet on the disk: in their order, together where they wait, each by itself where one fails."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from consilience.client.payments.wallet_file import WalletFile
from consilience.client.payments.wallet_steps import WalletSteps
from consilience.errors import WalletFileError


@pytest.fixture
def file(tmp_path: Path) -> Iterator[WalletFile]:
    file = WalletFile(tmp_path / "wallet.sqlite")
    with file.transaction() as database:
        database.execute("CREATE TABLE notes (note TEXT)")
    yield file
    file.close()


@pytest.fixture
def steps(file: WalletFile) -> Iterator[WalletSteps]:
    steps = WalletSteps(file)
    yield steps
    steps.close()


def notes(file: WalletFile) -> list[str]:
    with file.transaction() as database:
        return [note for (note,) in database.execute("SELECT note FROM notes ORDER BY rowid")]


class Notebook:
    """Writes notes, and waits at its first one until the others are on their way."""

    def __init__(self, file: WalletFile) -> None:
        self.file = file
        self.begun = Event()
        self.go_on = Event()

    def wait(self) -> None:
        self.begun.set()
        assert self.go_on.wait(timeout=10)

    def note(self, text: str) -> str:
        with self.file.transaction() as database:
            database.execute("INSERT INTO notes VALUES (?)", (text,))
        return text

    def fail(self, text: str) -> None:
        self.note(text)
        self.note(text)
        raise ValueError(text)


async def test_steps_that_wait_share_one_transaction_and_keep_their_order(file: WalletFile, steps: WalletSteps) -> None:
    notebook, said = Notebook(file), list[str]()
    file._database.set_trace_callback(said.append)
    first = asyncio.create_task(steps.take(notebook.wait))
    await asyncio.to_thread(notebook.begun.wait)
    texts = [f"note {number}" for number in range(20)]
    others = [asyncio.create_task(steps.take(partial(notebook.note, text))) for text in texts]
    await asyncio.sleep(0)
    notebook.go_on.set()
    await first
    assert await asyncio.gather(*others) == texts
    file._database.set_trace_callback(None)
    assert said.count("COMMIT") == 2
    assert notes(file) == texts


async def test_a_step_that_fails_takes_back_itself_alone(file: WalletFile, steps: WalletSteps) -> None:
    notebook = Notebook(file)
    first = asyncio.create_task(steps.take(notebook.wait))
    await asyncio.to_thread(notebook.begun.wait)
    wanted = [
        lambda: notebook.note("one"),
        lambda: notebook.fail("two"),
        lambda: notebook.note("three"),
    ]
    others = [asyncio.create_task(steps.take(step)) for step in wanted]
    await asyncio.sleep(0)
    notebook.go_on.set()
    await first
    one, two, three = await asyncio.gather(*others, return_exceptions=True)
    assert (one, three) == ("one", "three")
    assert isinstance(two, ValueError)
    assert notes(file) == ["one", "three"]


async def test_what_the_disk_does_not_take_is_told_to_every_step(file: WalletFile, steps: WalletSteps) -> None:
    notebook = Notebook(file)
    file._database.execute("PRAGMA query_only = ON")
    with pytest.raises(WalletFileError, match="cannot be read or written"):
        await steps.take(lambda: notebook.note("one"))
    file._database.execute("PRAGMA query_only = OFF")
    assert await steps.take(lambda: notebook.note("two")) == "two"
    assert notes(file) == ["two"]


async def test_a_wallet_that_is_closed_takes_what_waits_and_nothing_more(file: WalletFile, steps: WalletSteps) -> None:
    notebook = Notebook(file)
    waiting = asyncio.create_task(steps.take(lambda: notebook.note("one")))
    await asyncio.sleep(0)
    await asyncio.to_thread(steps.close)
    assert await waiting == "one"
    with pytest.raises(WalletFileError, match="is closed"):
        await steps.take(lambda: notebook.note("two"))
    assert notes(file) == ["one"]


async def test_a_step_that_nobody_waits_for_any_more_is_taken_all_the_same(
    file: WalletFile, steps: WalletSteps
) -> None:
    notebook = Notebook(file)
    first = asyncio.create_task(steps.take(notebook.wait))
    await asyncio.to_thread(notebook.begun.wait)
    left = asyncio.create_task(steps.take(lambda: notebook.note("one")))
    await asyncio.sleep(0)
    left.cancel()
    notebook.go_on.set()
    await first
    assert await steps.take(lambda: notebook.note("two")) == "two"
    assert left.cancelled()
    assert notes(file) == ["one", "two"]
