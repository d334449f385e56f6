"""Three registries that follow each other and six nodes, as processes, and the lines between them."""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.processes import Served, serving
from benchmarks.registry.callers import Caller, calling
from benchmarks.registry.databases import Sqlite
from benchmarks.registry.processes import registry
from reference_node.tests.lines import HOST, NOWHERE, Line, free_ports, lines

REGISTRIES = 3
NODES = 6
FOLLOW_SECONDS = 1.0
"""How long a registry waits after each look at another; an operator's file says 30 unless it says otherwise."""

FIRST, SECOND, THIRD = range(REGISTRIES)
DOMAIN = "numbers"
"""What the six nodes know about, and nobody else."""


class World:
    """A federation. The first registry can be killed and started again, the third cut off and let in.

    Attributes:
        reached: Where somebody on the side of the first two reaches the three.
        publishers: Somebody beside each registry.
    """

    def __init__(self, folder: Path) -> None:
        """Names the places; nothing runs yet."""
        self._folder = folder
        ports = free_ports(2 * REGISTRIES)
        self._places = [f"{HOST}:{port}" for port in ports[:REGISTRIES]]
        # All that leads to the third registry, or from it, goes over lines.
        self._lines = [
            Line(port=port, to=ports[to]) for port, to in zip(ports[REGISTRIES:], (THIRD, FIRST, SECOND), strict=True)
        ]
        to_third, third_to_first, third_to_second = (line.address for line in self._lines)
        self._follows = (
            [self._places[SECOND], to_third],
            [self._places[FIRST], to_third],
            [third_to_first, third_to_second],
        )
        self._stores = [Sqlite(folder / f"{number}.db") for number in range(REGISTRIES)]
        self._first = AsyncExitStack()
        self.reached = [self._places[FIRST], self._places[SECOND], to_third]
        self.publishers: list[Caller] = []

    def held(self) -> list[set[bytes]]:
        """Returns the digests of what each registry has on its disk, whether or not it runs or can be reached."""
        return [store.digests() for store in self._stores]

    async def kill_first(self) -> None:
        """Kills the first registry, as a crash would."""
        self._served.process.kill()
        await self._first.aclose()

    async def start_first(self) -> None:
        """Starts the first registry with what is on its disk."""
        self._served = await self._first.enter_async_context(self._registry(FIRST))

    async def cut_third(self) -> None:
        """Cuts all lines to the third registry and from it."""
        for line in self._lines:
            await line.cut()

    async def heal_third(self) -> None:
        """Lets the third registry in again."""
        for line in self._lines:
            await line.heal()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Runs all processes while the block runs."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(lines(*self._lines))
            stack.push_async_callback(self._first.aclose)
            await self.start_first()
            for number in (SECOND, THIRD):
                await stack.enter_async_context(self._registry(number))
            self.publishers = [await stack.enter_async_context(calling(place)) for place in self._places]
            for number in range(NODES):
                named = [self._places[place % REGISTRIES] for place in (number, number + 1)]
                await stack.enter_async_context(_node(name_of(number), registries=named))
            yield

    def _registry(self, number: int) -> contextlib.AbstractAsyncContextManager[Served]:
        return registry(
            self._stores[number].url,
            follow=self._follows[number],
            follow_seconds=FOLLOW_SECONDS,
            address=self._places[number],
            advertise=[NOWHERE],
            state=self._folder / f"state {number}",
        )


def name_of(number: int) -> str:
    """Returns the name of a node."""
    return f"node {number}"


@asynccontextmanager
async def _node(name: str, *, registries: list[str]) -> AsyncIterator[Served]:
    """Runs a node with one skill, which publishes its card in some registries."""
    with tempfile.TemporaryDirectory(prefix="consilience-bench-") as folder:
        (Path(folder) / "script.toml").write_text('[[programs]]\nsteps = [{ emit = "Forty-two." }]\n')
        file = Path(folder) / "node.toml"
        named = ", ".join(f'"{address}"' for address in registries)
        file.write_text(
            f'[node]\nname = "{name}"\nregistries = [{named}]\nstore = "memory"\n'
            '[[models]]\nid = "s"\nengine = "scripted"\nscript = "script.toml"\n'
            f'[[skills]]\nid = "count"\nmodel = "s"\ndomains = ["{DOMAIN}"]\n'
        )
        words = ("serve", "--config", str(file), "--state-folder", folder, "--address", f"{HOST}:0", "--ready-file")
        async with serving("consilience_node", *words) as served:
            yield served
