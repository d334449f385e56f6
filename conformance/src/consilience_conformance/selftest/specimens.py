"""Specimens: reference nodes as processes of their own, healthy or with one fault, ended by their ids.

The node is a command, and nothing of it is imported. Each specimen has a folder of its own; they share one root key, so
that one grant opens them all.
"""

from __future__ import annotations

import asyncio
import shlex
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from consilience_conformance.selftest.declarations import Variant
from consilience_conformance.selftest.forks import Fork, forked, is_forkable
from consilience_conformance.selftest.ports import free_address

START_SECONDS = 60.0
"""How long a command of the node may take."""

_LOOK_SECONDS = 0.01
_FOLLOW_SECONDS = 0.1
_LAST_WORDS = 2000
_FILES = ("node.toml", "script.toml")
_RECORDS = '\n[registry]\nstore = "sqlite:///records.db"\npublishes_per_minute = 1000000\nreads_per_minute = 1000000\n'
_MORE = {
    Variant.PINNED: "\n[tls]\n",
    Variant.HASTY: "\n[limits]\nmax_run_seconds = 5\n",
    Variant.REGISTRY: _RECORDS,
    Variant.REGISTRY_AND_SKILLS: _RECORDS,
    Variant.FOLLOWING: _RECORDS,
}
_QUOTE_SECONDS = {
    Variant.PAID: 600,
    Variant.PAID_DURABLE: 600,
    Variant.PAID_BY_BANK: 600,
    Variant.PAID_IN_HASTE: 8,
}
_RESTARTABLE = {Variant.FORGETFUL, Variant.DURABLE, Variant.PAID_DURABLE, Variant.REGISTRY}
_STORES = {Variant.DURABLE: "sqlite", Variant.REPLICATED: "sqlite", Variant.PAID_DURABLE: "sqlite"}


class NodeCommandError(Exception):
    """The command of the node did not do what was asked of it; the text holds its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCommand:
    """The command of the reference node.

    Attributes:
        words: `("consilience-node",)`.
    """

    words: tuple[str, ...]

    async def mutants(self) -> dict[str, str]:
        """Returns the faults that the node can be served with, by name.

        Raises:
            NodeCommandError: The command does not list them.
        """
        lines = (await self._output("mutants")).splitlines()
        return dict(line.split(maxsplit=1) for line in lines)

    async def grant(self, *, config: Path, testers: Iterable[str], file: Path) -> None:
        """Lets testers in for an hour, by their keys in text form.

        Raises:
            NodeCommandError: The command does not write the grant.
        """
        named = [word for tester in testers for word in ("--tester", tester)]
        await self._output("grant", "--config", str(config), *named, "--output", str(file))

    async def started(self, words: Iterable[str], *, log: Path) -> Process | Fork:
        """Starts it as a process, in a session of its own: Ctrl-C is ours, and we end it.

        Args:
            words: What stands after its name.
            log: Gets what it writes, after what stands there already.

        Raises:
            NodeCommandError: It cannot be run.
        """
        name, *first = self.words
        if is_forkable(name):
            return forked(name, (*first, *words), log=log, own_session=True)
        with log.open("ab") as file:
            try:
                return await asyncio.create_subprocess_exec(
                    *self.words, *words, stdin=DEVNULL, stdout=file, stderr=STDOUT, start_new_session=True
                )
            except OSError as error:
                raise NodeCommandError(f"{shlex.join(self.words)} cannot be run: {error.strerror}") from error

    async def _output(self, *words: str) -> str:
        try:
            process = await asyncio.create_subprocess_exec(*self.words, *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE)
        except OSError as error:
            raise NodeCommandError(f"{shlex.join(self.words)} cannot be run: {error.strerror}") from error
        try:
            async with asyncio.timeout(START_SECONDS):
                said, complained = await process.communicate()
        except TimeoutError as error:
            raise NodeCommandError(f"{shlex.join((*self.words, words[0]))} does not end") from error
        finally:
            await end(process)
        if process.returncode != 0:
            last_words = complained.decode(errors="replace").strip()[-_LAST_WORDS:]
            raise NodeCommandError(f"{shlex.join((*self.words, words[0]))} failed: {last_words}")
        return said.decode()


@asynccontextmanager
async def specimen(
    command: NodeCommand, *, folder: Path, variant: Variant, issuer: str, mutant: str = ""
) -> AsyncIterator[Specimen]:
    """Serves a node while the block runs.

    Args:
        command: Of the node.
        folder: Is made, and gets all that it writes; next to it lies the root key.
        variant: How it is started.
        issuer: Whose promises it takes for money where it is paid: the tester, in text form.
        mutant: Its fault; empty: it is healthy.

    Raises:
        NodeCommandError: It does not serve.
    """
    async with AsyncExitStack() as stack:
        one = Specimen(command, folder=folder, variant=variant, issuer=issuer, mutant=mutant)
        stack.push_async_callback(one.end)
        await one.start()
        if variant in _RESTARTABLE:
            await stack.enter_async_context(one.restartable())
        if variant is Variant.REPLICATED:
            sibling = Specimen(command, folder=folder / "sibling", variant=variant, issuer=issuer, mutant=mutant)
            stack.push_async_callback(sibling.end)
            sibling.share(one)
            await sibling.start()
            one.replica = sibling.address
        yield one


class Specimen:
    """A node as a process.

    Attributes:
        address: Where it serves, `host:port`; the same after a restart.
        restart_command: A shell command that kills it and returns when it serves again; empty: there is none.
        replica: The address of a second replica; empty: there is none.
        feed: The address of the registry that it follows, where nobody serves yet; empty: it follows none.
        bank: Where the judge plays its bank; empty: it has none.
        variant: How it is started.
    """

    def __init__(self, command: NodeCommand, *, folder: Path, variant: Variant, issuer: str, mutant: str) -> None:
        """Writes down its configuration; nothing runs yet."""
        self.address = ""
        self.restart_command = ""
        self.replica = ""
        self.feed = free_address() if variant is Variant.FOLLOWING else ""
        self.bank = free_address() if variant is Variant.PAID_BY_BANK else ""
        self.variant = variant
        self._command = command
        self._folder = folder
        self._options = ["--store", _STORES.get(variant, "memory")]
        self._options += ["--mutant", mutant] if mutant else []
        self._process: Process | Fork | None = None
        folder.mkdir(parents=True)
        for name in _FILES:
            more = _more(variant, issuer=issuer, feed=self.feed, bank=self.bank) if name == "node.toml" else ""
            text = _shipped("registry.toml" if name == "node.toml" and not variant.has_skills else name)
            (folder / name).write_text(text + more, encoding="utf-8")

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self._folder / "node.toml"

    def share(self, other: Specimen) -> None:
        """Makes it a second replica of a node that serves: the same configuration and state, and its own name."""
        text = other.config.read_text(encoding="utf-8")
        for its, ours in (
            ('key_file = "../', 'key_file = "../../'),
            ('state_folder = "state"', 'state_folder = "../state"\nreplica = "sibling"'),
        ):
            text = text.replace(its, ours)
        self.config.write_text(text, encoding="utf-8")

    @property
    def log(self) -> str:
        """The end of what it wrote."""
        file = self._folder / "log"
        return file.read_text(encoding="utf-8", errors="replace")[-_LAST_WORDS:].strip() if file.exists() else ""

    async def start(self) -> None:
        """Starts it and waits until it serves.

        Raises:
            NodeCommandError: It does not.
        """
        ready = self._folder / "ready"
        ready.unlink(missing_ok=True)
        words = ["serve", "--config", str(self.config), "--ready-file", str(ready), *self._options]
        words += ["--address", self.address] if self.address else []
        self._process = await self._command.started(words, log=self._folder / "log")
        try:
            async with asyncio.timeout(START_SECONDS):
                # The file has no event that a program could wait for.
                while not ready.exists():
                    if self._process.returncode is not None:
                        raise NodeCommandError(f"the node did not start: {self.log}")
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError as error:
            raise NodeCommandError(f"the node did not serve within {START_SECONDS:g} s: {self.log}") from error
        self.address = ready.read_text(encoding="ascii").strip().rpartition("@")[2]

    async def end(self) -> None:
        """Kills it, as a crash would, and waits until it is gone."""
        if self._process is not None:
            await end(self._process)

    @asynccontextmanager
    async def restartable(self) -> AsyncIterator[None]:
        """Offers `restart_command` while the block runs: it asks this process, which alone knows the id."""
        asked: set[asyncio.Task[None]] = set()

        async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                writer.write(await self._again())
                await writer.drain()
            writer.close()

        def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(serve(reader, writer))
            asked.add(task)
            task.add_done_callback(asked.discard)

        # Not in the folder of the specimen: systems take no socket whose path has more than about 100 bytes.
        with TemporaryDirectory(prefix="restart-") as short:
            path = f"{short}/asked"
            server = await asyncio.start_unix_server(take, path)
            self.restart_command = shlex.join([sys.executable, "-m", "consilience_conformance.selftest.restart", path])
            try:
                yield
            finally:
                self.restart_command = ""
                server.close()
                await server.wait_closed()
                for task in asked:
                    task.cancel()  # else a node would be started that nobody ends
                await asyncio.gather(*asked, return_exceptions=True)

    async def _again(self) -> bytes:
        """Kills it and starts it; returns why it does not serve, or nothing."""
        await self.end()
        try:
            await self.start()
        except NodeCommandError as error:
            return str(error).encode()
        return b""


def _shipped(name: str) -> str:
    return (files("consilience_conformance") / "selftest" / "specimen" / name).read_text(encoding="utf-8")


def _more(variant: Variant, *, issuer: str, feed: str, bank: str) -> str:
    """Returns what the configuration of a variant has besides."""
    if feed:
        return f'{_MORE[variant]}follow = ["{feed}"]\nfollow_seconds = {_FOLLOW_SECONDS}\n'
    if (seconds := _QUOTE_SECONDS.get(variant)) is not None:
        paid = _shipped("paid.toml").format(issuer=issuer, quote_seconds=seconds)
        return f"{paid}\n{_shipped('bank.toml').format(bank=bank)}" if bank else paid
    return _MORE.get(variant, "")


async def end(process: Process | Fork) -> None:
    """Kills a process and waits until it is gone."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()
