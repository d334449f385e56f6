"""Surroundings: what the operator lends to a run beyond the address: a way to restart the node, a second replica."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from consilience_conformance.checks import Needs, UntestableError
from consilience_conformance.targets import Target, UnreachableError, reach

RESTART_SECONDS = 60.0
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is lent.

    Attributes:
        restart_command: A shell command that stops the node at once, as a crash would, starts it again, and returns;
            empty: there is none.
        replica: The address of a second replica; empty: there is none.
    """

    restart_command: str = ""
    replica: str = ""

    @property
    def offered(self) -> Needs:
        """What checks may ask for."""
        offered = Needs.NOTHING
        if self.restart_command:
            offered |= Needs.RESTART
        if self.replica:
            offered |= Needs.REPLICA
        return offered

    async def restart(self, target: Target) -> Target:
        """Restarts the node and returns it with the card that it shows then.

        Raises:
            UntestableError: The command fails, or the node does not come back.
        """
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
        return await _back(target)


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
