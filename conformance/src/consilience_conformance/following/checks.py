"""What the checks of followers share: good records, how a check is made, and which records were not taken over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from consilience.v1 import registry_pb2
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs
from consilience_conformance.profiles import REGISTRY
from consilience_conformance.records.made_up import advisory, record_of
from consilience_conformance.rules.refusals import outcome_of
from consilience_conformance.transcripts import Exchange
from consilience_conformance.verdicts import Finding

FOLLOWED = ("what-is-followed-is-taken-over",)
"""What all that is passed over rests on."""
STOPPED = "REG-SYNC-002"


def good_record() -> registry_pb2.Record:
    """Returns a record of which no registry has heard, and that keeps all rules."""
    author = Caller.new()
    return record_of(author.seal(advisory(author)))


def come(exchanges: Iterable[Exchange], *, what: Callable[[str], str]) -> Iterator[Finding]:
    """Yields which records a node does not hold that it was to take over.

    Args:
        exchanges: By which they were fetched from the node.
        what: Says it, by the name of the exchange.
    """
    for exchange in exchanges:
        if not exchange.accepted:
            yield Finding(
                requirement=STOPPED,
                message=what(exchange.name),
                expected="taken over",
                got=outcome_of(exchange),
                exchange=exchange.name,
            )


check_of_followers = partial(Check, after=FOLLOWED, needs=Needs.FEED, profile=REGISTRY, alone=True, asks=False)
"""A check of a node that follows the registry which the judge plays; none runs beside another."""
