"""`--only` means checks and requirements, and takes along what they rest on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consilience_conformance.checks import Check
from consilience_conformance.exclusions import EXCLUSIONS
from consilience_conformance.requirements import requirements
from consilience_conformance.selection import NoCheckError, UnknownNameError, named, selected
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding


async def _drive(_: Stage) -> None:
    """A driver that is never asked."""


def _judge(_: Transcript) -> Iterator[Finding]:
    yield from ()


def _check(name: str, *requirements: str, after: tuple[str, ...] = ()) -> Check:
    return Check(name=name, title="", requirements=requirements, drive=_drive, judge=_judge, after=after)


CHECKS = (
    _check("first", "SIG-ENV-001"),
    _check("second", "SIG-ENV-003", "SIG-ENV-004", after=("first",)),
    _check("third", "SIG-ENV-004", after=("second",)),
    _check("fourth", "SIG-ENV-005", after=("first",)),
)


def _names(*only: str) -> list[str]:
    return [check.name for check in selected(CHECKS, only=only)]


def test_nothing_means_all() -> None:
    assert _names() == ["first", "second", "third", "fourth"]


def test_a_check_brings_all_that_it_rests_on() -> None:
    assert _names("third") == ["first", "second", "third"]


def test_a_requirement_means_all_its_checks_in_either_case() -> None:
    assert _names("sig-env-004") == ["first", "second", "third"]
    assert _names("FOURTH") == ["first", "fourth"]


def test_an_unknown_name_is_refused_with_those_that_look_alike() -> None:
    with pytest.raises(UnknownNameError, match="did you mean third"):
        _names("thrid")
    with pytest.raises(UnknownNameError, match="SIG-ENV-001"):
        _names("SIG-ENV-01")
    with pytest.raises(UnknownNameError, match="shows them all"):
        _names("zzzzzzzzzz")


def test_a_requirement_without_a_check_is_refused_with_the_reason() -> None:
    excluded, reason = next(iter(EXCLUSIONS["node"].items()))
    with pytest.raises(NoCheckError) as raised:
        named(CHECKS, name=excluded)
    assert reason in str(raised.value)
    of_clients = next(one.id for one in requirements().values() if not one.binds("node"))
    with pytest.raises(NoCheckError, match="binds clients"):
        named(CHECKS, name=of_clients)
    with pytest.raises(NoCheckError, match="none yet"):
        named(CHECKS, name="ERR-STAT-001")
