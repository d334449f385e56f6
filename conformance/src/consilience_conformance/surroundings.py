"""Surroundings: what the operator lends to a run beyond the address: a restart, a replica, a feed, a bank, money."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from consilience_conformance.following.feeds import Feed
from consilience_conformance.needs import Needs, UntestableError
from consilience_conformance.peers.banks import Bank
from consilience_conformance.purses import Purse
from consilience_conformance.targets import Target, UnreachableError, reach

RESTART_SECONDS = 60.0
HELD_SECONDS = 2.0
"""How long a connection takes to be made, or to be known to be gone."""
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is lent.

    Attributes:
        restart_command: A shell command that stops the node at once, as a crash would, starts it again, and returns;
            empty: there is none.
        replica: The address of a second replica; empty: there is none.
        feed: The address on this machine at which the node follows a registry, for the judge to play it; empty: none.
        bank: The address on this machine at which the node's bank is, for the judge to play it; empty: there is none.
        purse: What may be spent.
        followed: The registry at that address, while a run goes on.
        played: The bank at that address, while a run goes on.
    """

    restart_command: str = ""
    replica: str = ""
    feed: str = ""
    bank: str = ""
    purse: Purse = field(default_factory=Purse)
    followed: Feed | None = None
    played: Bank | None = None

    @property
    def offered(self) -> Needs:
        """What checks may ask for."""
        offered = Needs.NOTHING
        if self.restart_command:
            offered |= Needs.RESTART
        if self.replica:
            offered |= Needs.REPLICA
        if self.feed:
            offered |= Needs.FEED
        if self.bank:
            offered |= Needs.BANK
        return offered

    async def restart(self, target: Target) -> Target:
        """Restarts the node and returns it with the card that it shows then.

        Raises:
            UntestableError: The command fails, or leaves the node running, or the node does not come back.
        """
        held = await _held(target)
        try:
            await self._restarted()
            back = await _back(target)
            if held is not None and await _survived(held[0]):
                raise UntestableError(
                    "the restart command did not restart the node: a connection from before still stands. Let it kill "
                    "the process and start another"
                )
        finally:
            if held is not None:
                held[1].transport.abort()
        return back

    async def _restarted(self) -> None:
        process = await asyncio.create_subprocess_shell(
            self.restart_command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(RESTART_SECONDS):
                _, said = await process.communicate()
        except TimeoutError as error:
            raise UntestableError(f"the restart command did not return within {RESTART_SECONDS:g} s") from error
        finally:
            if process.returncode is None:
                # The shell is not alone: what it waits for would be left running.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            words = said.decode(errors="replace").strip()[-200:]
            raise UntestableError(f"the restart command exited with {process.returncode}: {words}")


async def _held(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """Returns a bare connection to the node, which no process hands on to the next; None where there is none."""
    try:
        async with asyncio.timeout(HELD_SECONDS):
            return await asyncio.open_connection(target.transport.host, target.transport.port)
    except OSError:
        return None


async def _survived(reader: asyncio.StreamReader) -> bool:
    """Tells whether a connection still stands: its other end neither closes nor resets it."""
    try:
        async with asyncio.timeout(HELD_SECONDS):
            while await reader.read(1 << 16):
                pass
    except TimeoutError:
        return True
    except OSError:
        return False
    return False


async def _back(target: Target) -> Target:
    """Waits until the node shows a card again."""
    deadline = monotonic() + RESTART_SECONDS
    while True:
        try:
            return await reach(target.address, seconds=_PAUSE_SECONDS * 40)
        except UnreachableError as error:
            if monotonic() > deadline:
                raise UntestableError(f"the node did not come back within {RESTART_SECONDS:g} s: {error}") from error
        await asyncio.sleep(_PAUSE_SECONDS)
