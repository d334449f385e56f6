"""`consilience-conformance doctor`: what can be seen of a node within seconds, and what a full run would need."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import click
from google.protobuf.duration_pb2 import Duration

from consilience.v1 import node_pb2
from consilience_conformance import node_ids
from consilience_conformance.cli.terminal import say
from consilience_conformance.diagnosis import Clock, Diagnosis, diagnose
from consilience_conformance.planning import how_to_get_a_grant, too_narrow_for_scripts
from consilience_conformance.profiles import REGISTRY, declared_profiles
from consilience_conformance.report.printable import printable
from consilience_conformance.subjects import SCRIPT_SKILL
from consilience_conformance.verdicts import Exit

_WELL, _ILL, _NEITHER = "✓", "✕", "·"
_COLOURS = {_WELL: "green", _ILL: "red", _NEITHER: "blue"}
_PLAIN_TEXT = "text/plain"


@click.command("doctor")
@click.argument("target")
def doctor_command(*, target: str) -> int:
    """Look at the node at TARGET for a few seconds: its card, its certificate, its clock, and what it declares.

    Exit codes: 0 all is well, 1 the card breaks a rule, 4 the node is not reachable or its clock is off.
    """
    diagnosis = asyncio.run(diagnose(target))
    for mark, word, text in _rows(diagnosis):
        say(f"{click.style(mark, fg=_COLOURS[mark])} {click.style(f'{word:<10}', dim=True)} {printable(text)}")
    say()
    for line in _needs(diagnosis):
        say(line)
    if diagnosis.findings:
        return Exit.FAILED
    return Exit.UNREACHABLE if diagnosis.clock.is_off else Exit.PASS


def _rows(seen: Diagnosis) -> Iterator[tuple[str, str, str]]:
    card, transport = seen.target.card, seen.target.transport
    name = f"{card.name} " if card.name else ""
    yield _WELL, "node", f"{name}at {transport.authority}, in {seen.took * 1000:.0f} ms"
    yield _NEITHER, "id", node_ids.text_of(card.node_id)
    if not seen.findings:
        yield _WELL, "card", f"keeps the rules; holds until {card.expire_time.ToJsonString()}"
    for finding in seen.findings:
        got = f" (got {finding.got})" if finding.got else ""
        yield _ILL, "card", f"{finding.requirement}: {finding.message}{got}"
    yield _WELL, "transport", _transport(seen)
    yield _clock(seen.clock)
    yield _NEITHER, "profiles", ", ".join(declared_profiles(card))
    for skill in card.skills:
        reads = ", ".join(skill.input_media_types) or _PLAIN_TEXT
        yield _NEITHER, "skill", f"{skill.id}, reads {reads}"
    for price in seen.prices:
        yield _NEITHER, "price", price.words(card)
    yield _NEITHER, "limits", ", ".join(_limits(card.limits))


def _transport(seen: Diagnosis) -> str:
    if seen.certificate is None:
        return "plain, on loopback"
    whose = "the node's own certificate" if seen.pinned else "a certificate of a public authority"
    return f"TLS, {whose}, until {seen.certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"


def _clock(clock: Clock) -> tuple[str, str, str]:
    if clock.ahead is None:
        return _NEITHER, "clock", clock.because
    where = "ahead of" if clock.ahead > timedelta(0) else "behind"
    text = f"{abs(clock.ahead).total_seconds():.2f} s {where} this one, ±{clock.within.total_seconds():.2f} s"
    if clock.is_off:
        return _ILL, "clock", f"{text}: set it, or this one, right, or each call will be refused"
    return _WELL, "clock", text


def _limits(limits: node_pb2.Limits) -> Iterator[str]:
    for field, value in limits.ListFields():
        words = field.name.replace("_", " ")
        yield (
            f"{words} {value.ToTimedelta().total_seconds():g} s" if isinstance(value, Duration) else f"{words} {value}"
        )


def _needs(seen: Diagnosis) -> Iterator[str]:
    address, card = seen.target.address, seen.target.card
    yield click.style("A full run", bold=True)
    yield f"  live       consilience-conformance run {address}"
    offered = any(skill.id == SCRIPT_SKILL for skill in card.skills)
    if offered and (narrow := too_narrow_for_scripts(card)):
        yield f"  scripted   cannot be: {narrow}"
    elif offered:
        yield f"  scripted   needs a grant. {how_to_get_a_grant(address)}"
    else:
        yield f"  scripted   needs the skill {SCRIPT_SKILL}, which the card does not offer"
    if "durable" in declared_profiles(card):
        yield "  durable    needs a command that kills the node and starts it again: --restart COMMAND"
    if REGISTRY in declared_profiles(card):
        yield "  registry   publishes some two thousand records: let one address bring so many, or the judge waits"
        yield "  following  needs an address at which the node follows the judge as a registry: --feed HOST:PORT"
