"""What an operator asks for and the node at hand become a plan, or words that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.tests.judged_nodes import registry_node, talking_node, write_grant
from consilience.identity import KeyPair
from consilience.nodes import Limits
from consilience.testing.nodes import serving_in_thread
from consilience_conformance import callers
from consilience_conformance.grants import GrantError
from consilience_conformance.planning import (
    NotPreparedError,
    Order,
    plan_of,
    prepare,
)
from consilience_conformance.profiles import declared_profiles, known_profiles
from consilience_conformance.runner import Runner
from consilience_conformance.subjects import SCRIPT_SKILL
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.targets import AddressError, UnreachableError
from consilience_conformance.verdicts import Verdict

KEY = KeyPair.generate()
_UNASKED = {"unknown-skill-is-refused", "methods-of-the-profiles-are-served", "records-are-taken-in"}
"""Checks that ask no skill."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving_in_thread(talking_node(key=KEY, conformance=True)) as running:
        yield running.address


def _order(address: str, **changes: Any) -> Order:
    fields: dict[str, Any] = {"address": address, "tester_key": Path("unused")}
    return Order(**{**fields, **changes})


async def test_without_a_grant_a_node_is_judged_live_by_the_first_skill_that_reads_text(address: str) -> None:
    plan = await prepare(_order(address))
    assert plan.live is not None
    assert plan.live.skill.id == "say"
    assert plan.scripted is None
    assert plan.profiles == {"core", "conformance"}


async def test_with_a_grant_a_node_is_judged_both_ways(address: str, tmp_path: Path) -> None:
    key_file, grant = write_grant(tmp_path, key=KEY)
    plan = await prepare(_order(address, grant=grant, tester_key=key_file))
    assert plan.live is not None
    assert plan.scripted is not None
    assert plan.scripted.skill.id == SCRIPT_SKILL
    assert plan.grant is not None
    assert len(plan.testers) == 8


async def test_scripted_mode_asks_no_real_skill(address: str, tmp_path: Path) -> None:
    key_file, grant = write_grant(tmp_path, key=KEY)
    plan = await prepare(_order(address, mode="scripted", grant=grant, tester_key=key_file))
    assert plan.live is None


async def test_a_key_file_that_there_is_not_is_told_and_not_made(address: str, tmp_path: Path) -> None:
    _, grant = write_grant(tmp_path, key=KEY)
    missing = tmp_path / "nokey"
    with pytest.raises(callers.TesterKeyError, match=f"there is no key file {missing}"):
        await prepare(_order(address, grant=grant, tester_key=missing))
    assert not missing.exists()


async def test_live_mode_leaves_a_grant_alone(address: str, tmp_path: Path) -> None:
    plan = await prepare(_order(address, mode="live", grant=tmp_path / "none"))
    assert plan.scripted is None


async def test_profiles_that_are_named_bring_core_along(address: str) -> None:
    plan = await prepare(_order(address, profiles=("conformance",)))
    assert plan.profiles == {"core", "conformance"}
    assert (await prepare(_order(address, profiles=("core",)))).profiles == {"core"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"profiles": ("durable",)}, "does not declare durable; it declares core, conformance"),
        ({"skill": "sing"}, "offers no skill sing; it offers say"),
        ({"skill": SCRIPT_SKILL}, "use --mode scripted"),
        ({"mode": "both"}, "--grant FILE"),
        ({"mode": "scripted"}, "consilience-conformance tester"),
    ],
)
async def test_what_the_node_does_not_offer_is_said_with_what_to_do(
    *, changes: dict[str, Any], words: str, address: str
) -> None:
    with pytest.raises(NotPreparedError, match=words):
        await prepare(_order(address, **changes))


async def test_a_grant_of_another_node_is_refused(address: str, tmp_path: Path) -> None:
    key_file, grant = write_grant(tmp_path, key=KeyPair.generate())
    with pytest.raises(GrantError, match="another node"):
        await prepare(_order(address, grant=grant, tester_key=key_file))


async def test_a_node_without_the_script_is_not_judged_by_scripts(tmp_path: Path) -> None:
    key_file, grant = write_grant(tmp_path, key=KEY)
    with (
        serving_in_thread(talking_node()) as running,
        pytest.raises(NotPreparedError, match="or judge the node with --mode live"),
    ):
        await prepare(_order(running.address, grant=grant, tester_key=key_file))


@pytest.mark.parametrize("narrow", [Limits(max_running_asks_per_caller=1), Limits(max_running_asks=1)])
async def test_a_node_that_bears_one_ask_at_a_time_is_judged_live_alone(narrow: Limits, tmp_path: Path) -> None:
    key_file, grant = write_grant(tmp_path, key=KEY)
    with serving_in_thread(talking_node(key=KEY, conformance=True, limits=narrow)) as running:
        with pytest.raises(NotPreparedError, match=r"the card has max_running_asks\w* of 1; .* or with --mode live"):
            await prepare(_order(running.address, grant=grant, tester_key=key_file))
        assert (await prepare(_order(running.address))).scripted is None


async def test_a_registry_without_a_skill_is_judged_by_what_asks_nothing(tmp_path: Path) -> None:
    with serving_in_thread(registry_node(tmp_path)) as running:
        plan = await prepare(_order(running.address, profiles=("registry",)))
        checks = [check for check in plan.checks if check.name in {"ask", *_UNASKED}]
        results = await Runner(replace(plan, checks=checks)).run()
    assert (plan.live, plan.scripted) == (None, None)
    assert {result.verdict for result in results if result.check in _UNASKED} == {Verdict.PASS}
    (ask,) = [result for result in results if result.check == "ask"]
    assert (ask.verdict, ask.because) == (Verdict.NOT_APPLICABLE, "the card offers no skill")


async def test_a_node_that_serves_no_registry_is_told_so_and_one_that_does_is_judged(address: str) -> None:
    plan = await prepare(_order(address))
    assert plan.served == frozenset()
    served = plan_of(_order(address), target=plan.target, checks=plan.checks, served=["registry"])
    assert served.profiles == {"core", "conformance", "registry"}
    chosen = plan_of(_order(address, profiles=("core",)), target=plan.target, checks=plan.checks, served=["registry"])
    for one, verdict, words in (
        (plan, Verdict.NOT_APPLICABLE, "the card does not declare registry, and the node does not serve it"),
        (chosen, Verdict.NOT_TESTED, "the run leaves the profile registry out: see --profile"),
    ):
        checks = [check for check in one.checks if check.profile == "registry"]
        results = await Runner(replace(one, checks=checks)).run()
        assert {(result.verdict, result.because) for result in results} == {(verdict, words)}


async def test_nothing_but_an_address_is_an_address() -> None:
    with pytest.raises(AddressError, match="no address of a node"):
        await prepare(_order("nonsense"))


async def test_a_closed_port_is_said_to_be_silent(unused_tcp_port: int) -> None:
    with pytest.raises(UnreachableError, match="nothing answers"):
        await prepare(_order(f"127.0.0.1:{unused_tcp_port}"))


async def test_profiles_of_later_versions_are_left_alone(address: str) -> None:
    card = (await prepare(_order(address))).target.card
    card.profiles.append(77)  # type: ignore[arg-type]
    assert declared_profiles(card) == ("core", "conformance")
    assert known_profiles() == ("core", "durable", "pay", "registry", "conformance")


@pytest.mark.parametrize(
    ("replica", "kind", "words"),
    [
        ("garbage", AddressError, "write cn1…@host:port or host:port"),
        ("127.0.0.1:1", UnreachableError, "the replica is not reached: nothing answers at 127.0.0.1:1"),
    ],
)
async def test_a_replica_that_is_none_is_told_before_anything_is_judged(
    *, replica: str, kind: type[Exception], words: str, address: str
) -> None:
    with pytest.raises(kind, match=words):
        await prepare(_order(address, surroundings=Surroundings(replica=replica)))


async def test_a_replica_that_is_another_node_is_told_before_anything_is_judged(address: str) -> None:
    with (
        serving_in_thread(talking_node("another")) as other,
        pytest.raises(NotPreparedError, match="that is another node"),
    ):
        await prepare(_order(address, surroundings=Surroundings(replica=other.address)))


async def test_a_node_may_be_lent_as_its_own_replica(address: str) -> None:
    plan = await prepare(_order(address, surroundings=Surroundings(replica=address)))
    assert plan.surroundings.replica == address
