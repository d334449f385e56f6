"""Mutants of the scripted skill and of its grant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC
from typing import Any

from google.protobuf.message import DecodeError

from consilience.conformance import ConformanceGrant
from consilience.errors import GrantInvalidError
from consilience.server import gates, scripts
from consilience.units import PublicKey
from consilience.v1 import conformance_pb2
from consilience_node.mutants.registry import mutant, replace


@mutant("grant-unverified")
def _grant_unverified() -> None:
    """A grant is read, and nobody looks at who has signed it."""

    def trusting(_: Callable[..., Any]) -> Callable[..., Any]:
        def opened(envelope: Any) -> ConformanceGrant:
            try:
                told = conformance_pb2.ConformanceGrant.FromString(envelope.payload)
            except DecodeError as error:
                raise GrantInvalidError("the grant does not parse") from error
            return ConformanceGrant(
                node_id=PublicKey(told.node_id),
                testers=tuple(PublicKey(tester) for tester in told.testers),
                issue_time=told.issue_time.ToDatetime(tzinfo=UTC),
                expire_time=told.expire_time.ToDatetime(tzinfo=UTC),
            )

        return opened

    replace(scripts, "_opened", trusting)


def _granting(change: Callable[[Any, dict[str, Any]], dict[str, Any]]) -> None:
    def lenient(require: Callable[..., None]) -> Callable[..., None]:
        def require_granted(grant: Any, **facts: Any) -> None:
            require(grant, **change(grant, facts))

        return require_granted

    replace(scripts, "require_granted", lenient)


@mutant("grant-of-anyone")
def _grant_of_anyone() -> None:
    """Whoever shows a grant is let in, named in it or not."""
    _granting(lambda grant, facts: {**facts, "caller": grant.testers[0]})


@mutant("grant-of-any-node")
def _grant_of_any_node() -> None:
    """A grant of another node lets a tester in."""
    _granting(lambda grant, facts: {**facts, "node_id": grant.node_id})


@mutant("script-unchecked")
def _script_unchecked() -> None:
    """Steps that break a rule are taken."""
    replace(scripts, "check_script", lambda _: lambda _: None)


@mutant("gates-open")
def _gates_open() -> None:
    """Nobody waits at a gate."""

    def pass_by(_: Callable[..., Any]) -> Callable[..., Any]:
        async def opened(_: Any, __: bytes) -> None:
            """Returns at once."""

        return opened

    replace(gates.Gates, "opened", pass_by)


@mutant("gates-forgotten")
def _gates_forgotten() -> None:
    """No more than a hundred open gates are remembered."""
    replace(gates, "REMEMBERED_GATES", lambda _: 100)


@mutant("steps-behind-the-end")
def _steps_behind_the_end() -> None:
    """Steps behind a conclusion are carried out."""

    def all_of_them(_: Callable[..., Any]) -> Callable[..., Any]:
        def take(_: Callable[..., bool], steps: Iterable[Any]) -> Iterable[Any]:
            return steps

        return take

    replace(scripts, "takewhile", all_of_them)
