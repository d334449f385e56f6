"""Mutants of the scripted skill and of its grant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC
from typing import Any

from google.protobuf.message import DecodeError

from consilience._wire.violations import ViolationAtError
from consilience.asks import Citation
from consilience.conformance import ConformanceGrant, WaitForGate
from consilience.errors import GrantInvalidError
from consilience.server import gates, scripts
from consilience.units import PublicKey
from consilience.v1 import conformance_pb2, node_pb2
from consilience_node.mutants.registry import mutant, replace

_CARD = node_pb2.NodeCard.DESCRIPTOR.full_name


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


@mutant("card-as-a-grant")
def _card_as_a_grant() -> None:
    """What the node has signed as its card lets in whoever shows it."""

    def lenient(require: Callable[..., None]) -> Callable[..., None]:
        def check(ask: Any, **when: Any) -> None:
            try:
                require(ask, **when)
            except GrantInvalidError:
                if scripts._script_of(ask).grant.payload_type != _CARD:
                    raise

        return check

    replace(scripts, "check_permission", lenient)


def _blind_to(path: Callable[[str], bool]) -> None:
    """Has a script taken though something at a place in it is missing, or is none."""

    def blind(require: Callable[..., None]) -> Callable[..., None]:
        def check(ask: Any, **when: Any) -> None:
            try:
                require(ask, **when)
            except ViolationAtError as error:
                if not path(error.path):
                    raise

        return check

    replace(scripts, "check_permission", blind)


@mutant("grant-not-needed")
def _grant_not_needed() -> None:
    """A script without a grant is taken."""
    _blind_to(lambda path: path == "grant")


@mutant("anything-is-a-script")
def _anything_is_a_script() -> None:
    """Bytes that are no script are taken for one."""
    _blind_to(lambda path: path.endswith(".blob.data"))


@mutant("first-part-is-the-script")
def _first_part_is_the_script() -> None:
    """Of a question in several parts the first is carried out, and the others are dropped."""

    def first(read: Callable[..., Any]) -> Callable[..., Any]:
        def script(ask: Any) -> Any:
            parts = ask.turns[-1].parts
            return scripts._decoded(parts[0].data, place="parts[0]") if len(parts) > 1 else read(ask)

        return script

    replace(scripts, "_script_of", first)


@mutant("script-unchecked")
def _script_unchecked() -> None:
    """Steps that break a rule are taken."""
    replace(scripts, "check_script", lambda _: lambda _: None)


@mutant("gates-open")
def _gates_open() -> None:
    """A script that cites something waits at no gate."""

    def pass_by(items: Callable[..., Any]) -> Callable[..., Any]:
        def walk(self: Any, steps: tuple[Any, ...]) -> Any:
            cites = any(isinstance(step, Citation) for step in steps)
            return items(self, tuple(step for step in steps if not (cites and isinstance(step, WaitForGate))))

        return walk

    replace(scripts._Performance, "items", pass_by)


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
