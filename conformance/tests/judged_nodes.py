"""Nodes that are judged in tests, built with the toolkit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

from consilience.identity import KeyPair
from consilience.nodes import Limits
from consilience.server import IncomingAsk, Node, Registry
from consilience.server.grants import grant_tester
from consilience.units import PublicKey, utc_now
from consilience_conformance.callers import Tester


def talking_node(
    name: str = "desk",
    *,
    key: KeyPair | None = None,
    conformance: bool = False,
    limits: Limits | None = None,
    records: Path | None = None,
) -> Node:
    """Returns a node with one skill, `say`, that reads plain text; where a folder is named, it keeps records there."""
    registry = None if records is None else _registry(records)
    node = Node(name, key=key or KeyPair.generate(), conformance=conformance, limits=limits, registry=registry)

    @node.skill("say", domains=["talk"])
    async def say(_ask: IncomingAsk) -> AsyncIterator[str]:
        yield "hello "
        yield "world"

    return node


def registry_node(folder: Path) -> Node:
    """Returns a node that keeps records in a folder, and has no skill."""
    return Node("shelf", key=KeyPair.generate(), registry=_registry(folder))


def _registry(folder: Path) -> Registry:
    return Registry(store=f"sqlite:///{folder}/records.db", publishes_per_minute=0, reads_per_minute=0)


def write_grant(
    folder: Path,
    *,
    key: KeyPair,
    testers: Sequence[bytes] | None = None,
    lifetime: timedelta = timedelta(minutes=10),
    age: timedelta = timedelta(0),
) -> tuple[Path, Path]:
    """Returns the files of a tester's key and of a grant for it, or for these testers."""
    key_file, file = folder / "tester.key", folder / "grant"
    keys = [caller.key for caller in Tester.at(key_file).callers] if testers is None else testers
    grant = grant_tester(key, testers=[PublicKey(one) for one in keys], lifetime=lifetime, now=utc_now() - age)
    file.write_bytes(grant)
    return key_file, file
