"""`consilience-conformance explain` and `list`: what is judged, and by what."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import click

from consilience_conformance.cases import all_checks
from consilience_conformance.checks import Check
from consilience_conformance.cli.commands import USAGE
from consilience_conformance.cli.terminal import say, sentence, wrapped
from consilience_conformance.exclusions import EXCLUSIONS, OPEN_PARTS
from consilience_conformance.needs import Needs
from consilience_conformance.requirements import Requirement, requirements, set_digest
from consilience_conformance.selection import NoCheckError, named
from consilience_conformance.selftest.declarations import Declaration, declarations
from consilience_conformance.selftest.killtable import shipped_table

_NEEDS = {
    Needs.SCRIPT: "a grant for the skill conformance.script",
    Needs.RESTART: "a command that restarts the node",
    Needs.REPLICA: "a second replica",
    Needs.FEED: "an address at which the node follows the judge",
    Needs.BANK: "the address of a bank that the judge plays",
    Needs.ESCROW: "a key of the tester among the issuers of a rail",
}


@click.command("explain")
@click.argument("name", metavar="ID")
def explain_command(*, name: str) -> int:
    """Explain a requirement, as ASK-IDEM-002, a check, or a mutant: the rule, what is judged, what it kills."""
    if name.lower() in declarations():
        return _tell(_of_mutant(declarations()[name.lower()]))
    try:
        checks = named(all_checks(), name=name)
    except NoCheckError:
        checks = ()
    rule = requirements().get(name.upper())
    return _tell(_of_check(checks[0]) if rule is None else _of_requirement(rule, checks=checks))


def _of_requirement(rule: Requirement, *, checks: Sequence[Check]) -> Iterator[str]:
    yield from _rule(rule)
    yield ""
    if not checks:
        reason = EXCLUSIONS["node"].get(rule.id) or "none yet" if rule.binds("node") else "it binds clients"
        yield sentence(f"no check of nodes: {reason}")
    for check in checks:
        yield from _check(check, requirement=rule.id)
    if checks and (part := OPEN_PARTS["node"].get(rule.id)):
        yield "not shown by these checks"
        yield from wrapped(part, indent="  ")


def _of_check(check: Check) -> Iterator[str]:
    yield from _check(check)
    for identifier in check.requirements:
        yield ""
        yield from _rule(requirements()[identifier])


def _of_mutant(mutant: Declaration) -> Iterator[str]:
    yield click.style(mutant.name, bold=True) + f"  a mutant of the reference node, {mutant.node.value}"
    for row in shipped_table().get("mutants", ()):
        if row["name"] == mutant.name and row["fault"]:
            yield from wrapped(row["fault"], indent="  ")
    yield f"  dies of {mutant.check}, by {mutant.requirement}: {mutant.message}"
    if mutant.also:
        yield from wrapped(f"with it fail {', '.join(mutant.also)}", indent="  ")
    yield ""
    yield from _rule(requirements()[mutant.requirement])


def _rule(rule: Requirement) -> Iterator[str]:
    yield f"{click.style(rule.id, fg='cyan', bold=True)}  {rule.level}, {rule.role}, {rule.profile}"
    yield from wrapped(rule.sentence, indent="  ")
    yield click.style(f"  docs/spec/{rule.page}#{rule.anchor}", dim=True)


def _check(check: Check, *, requirement: str = "") -> Iterator[str]:
    yield click.style(check.name, bold=True)
    yield from wrapped(check.title, indent="  ")
    needs = [words for need, words in _NEEDS.items() if need in check.needs]
    if needs:
        yield f"  needs   {', '.join(needs)}"
    if check.after:
        yield f"  after   {', '.join(check.after)}"
    for mutant in declarations().values():
        if mutant.check == check.name and requirement in {"", mutant.requirement}:
            yield f"  kills   {mutant.name}, by {mutant.requirement}: {mutant.message}"


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def list_command(*, as_json: bool) -> int:
    """List the requirements and the checks that test them."""
    return _tell([json.dumps(_catalogue(), indent=2)] if as_json else _list())


def _list() -> Iterator[str]:
    for page, rules in groupby(requirements().values(), key=lambda rule: rule.page):
        yield click.style(f"docs/spec/{page}", bold=True)
        yield from map(_line, rules)
        yield ""
    yield f"{len(all_checks())} checks, {len(requirements())} requirements"


def _tell(lines: Iterable[str]) -> int:
    """Writes lines, and returns the exit code: there is no verdict here that would count where they are not written."""
    return 0 if all(say(line) for line in lines) else USAGE


def _line(rule: Requirement) -> str:
    names = [check.name for check in all_checks() if rule.id in check.requirements]
    how = ", ".join(names)
    if not names:
        how = "excluded" if rule.id in EXCLUSIONS["node"] else "no check" if rule.binds("node") else "of clients"
        how = click.style(how, fg="magenta")
    return f"  {rule.id:<14} {rule.level:<10} {rule.profile:<12} {how}"


def _catalogue() -> dict[str, object]:
    return {
        "requirementsDigest": set_digest(),
        "checks": [
            {
                "name": check.name,
                "title": check.title,
                "requirements": list(check.requirements),
                "profile": check.profile,
                "needs": [need.name.lower() for need in check.needs if need.name],
                "after": list(check.after),
            }
            for check in all_checks()
        ],
        "requirements": [
            {
                "id": rule.id,
                "level": rule.level,
                "role": rule.role,
                "profile": rule.profile,
                "page": rule.page,
                "anchor": rule.anchor,
                "checks": [check.name for check in all_checks() if rule.id in check.requirements],
                "excluded": EXCLUSIONS["node"].get(rule.id, ""),
            }
            for rule in requirements().values()
        ],
    }
