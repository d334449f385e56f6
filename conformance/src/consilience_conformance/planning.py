"""Planning: what an operator asks for, and the node at hand, become the plan of a run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from consilience.v1 import node_pb2
from consilience_conformance import node_ids
from consilience_conformance.callers import Tester
from consilience_conformance.cases import all_checks
from consilience_conformance.checks import Check
from consilience_conformance.grants import read_grant
from consilience_conformance.profiles import CORE, PROBES, REGISTRY, declared_profiles
from consilience_conformance.purses import offers, why_unpaid
from consilience_conformance.runner import Plan
from consilience_conformance.selection import demanded, selected
from consilience_conformance.subjects import SCRIPT_SKILL, Subject
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.targets import AddressError, Target, UnreachableError, is_served, reach
from consilience_conformance.verdicts import Demand

Mode = Literal["auto", "live", "scripted", "both"]

DEFAULT_QUESTION = "Say in a few words what you can do."

_PLAIN_TEXT = "text/plain"
_LEAST_ASKS = 2
"""One that waits at a gate, and one that opens it."""


class NotPreparedError(Exception):
    """The node, or what is lent with it, does not allow what was asked for; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What an operator asks for.

    Attributes:
        address: Of the node.
        profiles: Those to judge; none: all that the card declares. Core is always among them.
        mode: `auto` is `both` with a grant and `live` without.
        skill: Is asked live; empty: the first that reads plain text.
        question: Is asked live.
        only: Checks and requirements; none: all.
        seed: Of all chance.
        grant: The file of the grant, or None.
        tester_key: The file of the tester's key.
        surroundings: What is lent beyond the address.
    """

    address: str
    tester_key: Path
    profiles: tuple[str, ...] = ()
    mode: Mode = "auto"
    skill: str = ""
    question: str = DEFAULT_QUESTION
    only: tuple[str, ...] = ()
    seed: int = 0
    grant: Path | None = None
    surroundings: Surroundings = field(default_factory=Surroundings)


async def prepare(order: Order) -> Plan:
    """Makes the first contact and returns the plan of the run.

    Raises:
        AddressError: The address is none.
        UnreachableError: Nothing answers there, or at the replica, with a card.
        NotPreparedError: The replica is another node, or the node does not offer what was asked for.
        GrantError: The grant does not hold.
        TesterKeyError: The tester's key cannot be used.
        UnknownNameError: `only` names what there is not.
        NoCheckError: `only` names a requirement without a check.
    """
    checks = selected(all_checks(), only=order.only)
    target = await reach(order.address)
    if order.surroundings.replica:
        await _look_at_replica(order.surroundings.replica, node_id=target.node_id)
    served = [profile for profile, method in PROBES.items() if await is_served(target, method=method)]
    return plan_of(order, target=target, checks=checks, served=served)


async def _look_at_replica(address: str, *, node_id: bytes) -> None:
    """Makes sure that a replica is one, before anything is judged by it."""
    try:
        replica = await reach(address)
    except AddressError:
        raise
    except UnreachableError as error:
        raise UnreachableError(f"the replica is not reached: {error}") from error
    if replica.node_id != node_id:
        raise NotPreparedError(
            f"{address} is no replica, that is another node: {node_ids.text_of(replica.node_id)}. A replica shows the "
            f"same node id, {node_ids.text_of(node_id)}"
        )


def plan_of(order: Order, *, target: Target, checks: Sequence[Check], served: Collection[str] = ()) -> Plan:
    """Returns the plan of a run on a node that was reached; raises what `prepare` raises of it.

    Args:
        order: What is asked for.
        target: The node.
        checks: That are wanted.
        served: Profiles that it serves, as a call told, though its card may not declare them.
    """
    profiles = _profiles(order, offered=tuple(dict.fromkeys((*declared_profiles(target.card), *served))))
    scripted = order.mode in {"scripted", "both"} or (order.mode == "auto" and order.grant is not None)
    live = None if order.mode == "scripted" else _live_subject(target.card, order=order)
    priced = None if order.mode == "scripted" else _priced_subject(target.card, order=order)
    if live is None and not scripted:
        # Where nothing is free, and no script is asked either, each ask is paid for.
        live = priced
    if live is None and not scripted and REGISTRY not in profiles:
        raise NotPreparedError(_nothing_to_ask(target.card, order=order))
    plan = Plan(
        target=target,
        checks=checks,
        profiles=profiles,
        live=live,
        scripted=None,
        priced=priced,
        surroundings=order.surroundings,
        seed=order.seed,
        demands=(*demanded(all_checks(), only=order.only), *_demanded_profiles(order, checks=checks)),
        served=frozenset(served),
    )
    return _with_script(plan, order=order) if scripted else plan


def how_to_get_a_grant(address: str) -> str:
    """Returns what to do for scripted mode."""
    return (
        "`consilience-conformance tester` prints the keys that the operator names in `consilience-node grant`; then "
        f"`consilience-conformance run {address} --grant FILE`"
    )


def too_narrow_for_scripts(card: node_pb2.NodeCard) -> str:
    """Returns which limit of a card keeps a tester from opening gates, or nothing."""
    skill = _skill(card, SCRIPT_SKILL)
    for name in ("max_running_asks", "max_running_asks_per_caller"):
        limit = getattr(skill.limits, name) if skill else 0
        # A limit of zero is none that the card states, which is for a check to say.
        if 0 < (limit or getattr(card.limits, name)) < _LEAST_ASKS:
            return f"a script that waits is let go on by a second ask of its caller, and the card has {name} of 1"
    return ""


def _nothing_to_ask(card: node_pb2.NodeCard, *, order: Order) -> str:
    """Returns why a node cannot be asked anything, and what to do, for people."""
    costly = next(_readers(card), None)
    if costly is None:
        trouble = f"no skill of the node reads {_PLAIN_TEXT}: name one that can be asked with --skill"
    else:
        why = why_unpaid(card, costly, purse=order.surroundings.purse)
        trouble = f"no skill of the node that reads {_PLAIN_TEXT} is free, and {why}: allow it"
    return f"{trouble}, or let the node be judged by scripts. {how_to_get_a_grant(order.address)}"


def _with_script(plan: Plan, *, order: Order) -> Plan:
    skill = _skill(plan.target.card, SCRIPT_SKILL)
    if skill is None:
        raise NotPreparedError(
            f"the card offers no skill {SCRIPT_SKILL}: serve it (`consilience-node serve --conformance`), or judge the "
            "node with --mode live"
        )
    if narrow := too_narrow_for_scripts(plan.target.card):
        raise NotPreparedError(f"{narrow}; judge the node with a wider one, or with --mode live")
    if order.grant is None:
        raise NotPreparedError(f"scripted mode needs a grant. {how_to_get_a_grant(order.address)}")
    testers = Tester.of(order.tester_key).callers
    grant = read_grant(order.grant, node_id=plan.target.node_id, testers=testers, now=datetime.now(UTC))
    return replace(plan, scripted=Subject(skill=skill, question=""), grant=grant, testers=testers)


def _live_subject(card: node_pb2.NodeCard, *, order: Order) -> Subject | None:
    """Returns what is asked live: the named skill, or the first that reads plain text, if it is free; None: none is."""
    if order.skill == SCRIPT_SKILL:
        raise NotPreparedError(f"{SCRIPT_SKILL} is not asked live: use --mode scripted, or name another skill")
    if order.skill:
        skill = _skill(card, order.skill)
        if skill is None:
            offered = ", ".join(one.id for one in card.skills if one.id != SCRIPT_SKILL) or "none"
            raise NotPreparedError(f"the card offers no skill {order.skill}; it offers {offered}")
        if not skill.tariff_ids:
            return Subject(skill=skill, question=order.question)
    return next((Subject(skill=one, question=order.question) for one in _readers(card) if not one.tariff_ids), None)


def _priced_subject(card: node_pb2.NodeCard, *, order: Order) -> Subject | None:
    """Returns what is asked where an answer has to cost something, and this run may pay for it; None: there is none."""
    purse = order.surroundings.purse
    named = [skill for skill in _readers(card) if skill.id == order.skill]
    return next(
        (
            Subject(skill=one, question=order.question)
            for one in (*named, *_readers(card))
            if offers(card, one, purse=purse)
        ),
        None,
    )


def _readers(card: node_pb2.NodeCard) -> Iterator[node_pb2.Skill]:
    """Yields the skills that read plain text, but for the scripted one."""
    for skill in card.skills:
        if skill.id != SCRIPT_SKILL and (_PLAIN_TEXT in skill.input_media_types or not skill.input_media_types):
            yield skill


def _skill(card: node_pb2.NodeCard, identifier: str) -> node_pb2.Skill | None:
    return next((one for one in card.skills if one.id == identifier), None)


def _profiles(order: Order, *, offered: Collection[str]) -> frozenset[str]:
    if missing := [name for name in order.profiles if name not in offered]:
        raise NotPreparedError(
            f"the card does not declare {', '.join(missing)}; it declares {', '.join(offered) or 'nothing'}. "
            "Leave --profile away to judge what it declares"
        )
    return frozenset({CORE, *(order.profiles or offered)})


def _demanded_profiles(order: Order, *, checks: Sequence[Check]) -> Iterator[Demand]:
    for name in order.profiles:
        yield Demand(name=name, checks=tuple(check.name for check in checks if check.profile == name), whole=False)
