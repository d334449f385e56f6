"""Contradictions: what no single key of a configuration has wrong, and all of them together have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from consilience.rails.hold import TEST_NETWORK
from consilience.server.payments.offers import MAX_CARD_TARIFFS
from consilience.server.registry.office import MIN_MESSAGE_BYTES
from consilience.server.scripts import SCRIPT_TARIFF_ID
from consilience_node.config.lines import KeyPath
from consilience_node.config.payments import PaymentsTable
from consilience_node.config.prices import PriceTable
from consilience_node.config.settings import Config

_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - nothing is bound here


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a configuration, and the key that it is wrong with."""

    path: KeyPath
    what: str

    @property
    def key(self) -> str:
        """The key as a person would write it: `skills[0].model`."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")


def contradictions(config: Config) -> Iterator[Problem]:
    """Yields what no single key has wrong: names given twice, and names that nothing has."""
    yield from _unreachable(config)
    yield from _money(config)
    yield from _repeated("models", [model.id for model in config.models])
    yield from _repeated("skills", [skill.id for skill in config.skills])
    if not config.skills and config.registry is None:
        yield Problem(path=("skills",), what="a node has one skill at least, unless it is a [registry]")
    if config.registry is not None and config.limits.max_message_bytes < MIN_MESSAGE_BYTES:
        least = f"a [registry] takes messages of {MIN_MESSAGE_BYTES} bytes"
        yield Problem(path=("limits", "max_message_bytes"), what=f"is too small: {least}")
    known = [model.id for model in config.models]
    for index, skill in enumerate(config.skills):
        if skill.model not in known:
            yield Problem(
                path=("skills", index, "model"),
                what=f'unknown model "{skill.model}"; known: {", ".join(known) or "none"}',
            )
        if skill.knowledge is None and skill.knowledge_uri is not None:
            yield Problem(path=("skills", index, "knowledge_uri"), what="goes with `knowledge`, which is not set")
        if skill.knowledge is not None and skill.system_prompt is not None:
            yield Problem(
                path=("skills", index, "system_prompt"), what="a skill with `knowledge` has its own, measured one"
            )


def _money(config: Config) -> Iterator[Problem]:
    """Yields why nobody could pay what something costs."""
    listed = list(_price_tables(config))
    if config.payments is None:
        for path in dict.fromkeys(path[:-1] for path, _ in listed):
            yield Problem(path=path, what="cost something, and there is no [payments], which says how the node is paid")
        return
    yield from _rails(config, payments=config.payments)
    moved = tuple(dict.fromkeys(asset for rail in config.payments.rails for asset in rail.assets))
    taken = {SCRIPT_TARIFF_ID}
    for path, prices in listed:
        for within, what in prices.complaints():
            yield Problem(path=(*path, *within), what=what)
        if prices.asset not in moved:
            yield Problem(
                path=(*path, "asset"), what=f"{prices.asset} is moved by no rail; they move {', '.join(moved)}"
            )
        if prices.id in taken:
            yield Problem(path=(*path, "id"), what=f'"{prices.id}" is used twice; ids are unique')
        taken.add(prices.id)
    if len(taken) > MAX_CARD_TARIFFS:
        yield Problem(
            path=("payments",), what=f"a card lists {MAX_CARD_TARIFFS - 1} tariffs at most, not {len(listed)}"
        )


def _rails(config: Config, *, payments: PaymentsTable) -> Iterator[Problem]:
    for index, rail in enumerate(payments.rails):
        path: KeyPath = ("payments", "rails", index)
        for within, what in rail.complaints():
            yield Problem(path=(*path, *within), what=what)
        if rail.rail in [earlier.rail for earlier in payments.rails[:index]]:
            yield Problem(path=(*path, "rail"), what=f'"{rail.rail}" is used twice; a node has each rail once')
        if config.node.store == "memory" and rail.network != TEST_NETWORK:
            yield Problem(
                path=(*path, "network"),
                what=f'goes with store = "sqlite": a node that forgets its sessions is paid on "{TEST_NETWORK}" alone',
            )


def _price_tables(config: Config) -> Iterator[tuple[KeyPath, PriceTable]]:
    """Yields every price that is written, and where."""
    for name, tables in (("models", config.models), ("skills", config.skills)):
        for index, table in enumerate(tables):
            for number, prices in enumerate(table.prices or ()):
                yield (name, index, "prices", number), prices


def _unreachable(config: Config) -> Iterator[Problem]:
    """Yields why nobody could call a node at the address in its card."""
    host = config.node.address.rpartition(":")[0].strip("[]")
    if host in _EVERY_ADDRESS and not config.node.advertise:
        yield Problem(
            path=("node", "advertise"), what=f'is missing: nobody can call "{host}"; say what others are to call'
        )
    if (tls := config.tls) is not None and tls.mode == "webpki":
        for key in ("certificate", "key"):
            if getattr(tls, key) is None:
                yield Problem(path=("tls", key), what='is missing; it goes with mode = "webpki"')
    if tls is not None and tls.mode == "pinned" and tls.key is not None:
        yield Problem(path=("tls", "key"), what='goes with mode = "webpki"; the other holds its key in `certificate`')


def _repeated(table: str, ids: list[str]) -> Iterator[Problem]:
    counts = Counter(ids)
    for index, name in enumerate(ids):
        if counts[name] > 1 and name in ids[:index]:
            yield Problem(path=(table, index, "id"), what=f'"{name}" is used twice; ids are unique')
