"""Node: what a developer writes down to serve skills to the network.

>>> from consilience.server import Node
>>> node = Node(name="units")
>>> @node.skill("units.convert", domains=["units"], languages=["en"])
... async def convert(ask):
...     yield "12 inches are 30.48 cm."
>>> node.run("127.0.0.1:7341")
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from consilience.errors import ConsilienceError, UsageError
from consilience.identity import KeyPair, Signer
from consilience.nodes import (
    DataClass,
    DataPolicy,
    Limits,
    MeasuredQuality,
    Model,
    Profile,
    Skill,
)
from consilience.rails.hold import TEST_NETWORK
from consilience.reviews import OpenRecord
from consilience.server.cards import DEFAULT_CARD_LIFETIME
from consilience.server.descriptions import Description
from consilience.server.introductions import introduce
from consilience.server.keys import FixedKey, NodeKeys, RotatingKeys, SigningKeys, state_folder
from consilience.server.observers import Observer, SilentObserver
from consilience.server.payments.offers import Offer, Payments, PriceBook, Trade
from consilience.server.registry.office import Registry
from consilience.server.registry.peers import Peers
from consilience.server.scripts import SCRIPT_MODEL, script_offers, script_skill
from consilience.server.serving import Plan, RunningNode
from consilience.server.skills import Check, Handler, ServedSkill, SkillBook
from consilience.server.store import AnswerStore, MemoryStore, store_at
from consilience.server.terms import DEFAULT_LIMITS, completed_limits, covered_lifetime
from consilience.server.tls import Tls
from consilience.telemetry import SILENT, Tracer
from consilience.units import PublicKey, utc_now

DEFAULT_DRAIN_TIME = timedelta(seconds=30)
ROOT_KEY_FILE = "root.key"
CERTIFICATE_FILE = "certificate.pem"

HandlerT = TypeVar("HandlerT", bound=Handler)


class Node:
    """A node as it is written down: its skills, and what its card says. `run` or `serving` brings it to life."""

    def __init__(
        self,
        name: str,
        *,
        description: str = "",
        key: Signer | Path | str | None = None,
        signing_key: Signer | Path | str | None = None,
        next_root: PublicKey | None = None,
        successions: Iterable[OpenRecord] = (),
        kept_card: Path | None = None,
        limits: Limits | None = None,
        data_policy: DataPolicy | None = None,
        models: Iterable[Model] = (),
        extensions: Mapping[str, bytes] | None = None,
        store: AnswerStore | str | None = None,
        tls: Tls | None = None,
        observer: Observer | None = None,
        tracer: Tracer = SILENT,
        card_lifetime: timedelta = DEFAULT_CARD_LIFETIME,
        drain_time: timedelta = DEFAULT_DRAIN_TIME,
        replica: str | None = None,
        payments: Payments | None = None,
        conformance: bool = False,
        registry: Registry | None = None,
        registries: Iterable[str] = (),
        peers: Peers | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Writes a node down; nothing is opened yet.

        Args:
            name: Names the node for people, at most 128 characters.
            description: Describes it for people, at most 2048 characters.
            key: The root key: a signer, or a key file, made where there is none; None: `root.key` in the state folder
                of this name (`keys.state_folder`).
            signing_key: Signs the answers: a signer whose exchange the operator announces, or a folder in which keys
                are made and changed every 30 days; None: the root key itself.
            next_root: The only root key that may succeed this one, once a card has told it; or None: the root key can
                never change.
            successions: Of the root keys that this node had before, oldest first (`keys.succession_record`).
            kept_card: The file that holds the newest card, on which a succession of this root key will rest.
            limits: What is zero here is filled from `DEFAULT_LIMITS`.
            data_policy: None: reads what is PUBLIC, stores and forwards nothing.
            models: The language models that skills name.
            extensions: Encoded `google.protobuf.Any` by URI.
            store: Where answers are kept: a store, or a URL as `sqlite:///answers.db` for the profile *durable*; None:
                memory.
            tls: None: plain, and on loopback alone.
            observer: Is told of each ask, in numbers.
            tracer: Follows each ask: `consilience.telemetry`.
            card_lifetime: Of each card; a new one is issued at half of it.
            drain_time: How long running answers get to finish when the node is stopped.
            replica: The id of this process among those that share a durable store, the same after a restart; None:
                the URI of its first endpoint, which lets its siblings send callers there. All of them give out the card
                that was issued last, so each is to advertise all of their endpoints.
            payments: How the node is paid; what for is said at each skill with `offers`. None: it is free.
            conformance: Serves the skill `conformance.script` besides, whose answers a tester writes, to those alone
                who show a grant (`grants.grant_tester`).
            registry: Where the records of everyone are kept, for the profile *registry*; such a node needs no skill.
            registries: Addresses of registries that the card names, and each card is brought to.
            peers: How other registries are reached; without it, nothing is brought to them, and none is followed.
            clock: Tells the aware UTC time.

        Raises:
            UsageError: A signing key lives shorter than `card_lifetime` and the `max_run_time` of `limits` together.
        """
        self._name = name
        self._description = description
        self._key: Signer | Path = state_folder(name) / ROOT_KEY_FILE if key is None else _located(key)
        self._signing_key = None if signing_key is None else _located(signing_key)
        self._next_root = next_root
        self._successions = tuple(successions)
        self._kept_card = kept_card
        self._limits = completed_limits(
            limits or DEFAULT_LIMITS, quotes_per_minute=None if payments is None else payments.quotes_per_minute
        )
        self._data_policy = data_policy or DataPolicy(max_data_class=DataClass.PUBLIC)
        self._models = tuple(models)
        self._extensions = dict(extensions or {})
        self._store = store
        self._tls = tls
        self._observer = observer or SilentObserver()
        self._tracer = tracer
        self._card_lifetime = covered_lifetime(card_lifetime, max_run_time=self._limits.max_run_time)
        self._drain_time = drain_time
        self._replica = replica
        self._payments = payments
        self._conformance = conformance
        self._registry = registry
        self._registries = tuple(registries)
        self._peers = peers
        self._clock = clock
        self._skills = SkillBook()
        self._prices = PriceBook()

    def skill(
        self,
        id: str,  # noqa: A002 - the name of the field
        *,
        description: str = "",
        domains: Iterable[str] = (),
        languages: Iterable[str] = (),
        input_media_types: Iterable[str] = (),
        output_media_type: str = "",
        input_schema: str = "",
        output_schema: str = "",
        accepts_answer_schema: bool = False,
        gives_citations: bool = False,
        gives_confidence: bool = False,
        gives_intake: bool = False,
        model_ids: Iterable[str] = (),
        limits: Limits | None = None,
        max_data_class: DataClass = DataClass.UNSPECIFIED,
        measured_quality: Iterable[MeasuredQuality] = (),
        knowledge_time: datetime | None = None,
        offers: Iterable[Offer] = (),
        check: Check | None = None,
    ) -> Callable[[HandlerT], HandlerT]:
        """Returns a decorator that serves a skill with the async generator function that it stands over.

        Args:
            id: Names the skill within the node: `units.convert`.
            description: For people, at most 1024 characters.
            domains: What it is about: `computing`, `law.de`.
            languages: In which it may be asked, as BCP 47 tags; empty: it does not depend on one.
            input_media_types: What it reads; empty: `text/plain` alone.
            output_media_type: Of its text; empty: `text/plain`.
            input_schema: A JSON schema of the question.
            output_schema: A JSON schema that every answer fits.
            accepts_answer_schema: An ask may bring a schema of its own for the answer.
            gives_citations: Every answer with outcome ANSWERED carries citations.
            gives_confidence: Every answer with outcome ANSWERED carries a confidence.
            gives_intake: Every answer discloses what was read to make it.
            model_ids: The models that may answer; empty: none takes part.
            limits: Tighter than those of the node; a zero leaves the node's.
            max_data_class: The highest that it reads, where that is lower than the node's.
            measured_quality: How well it did on named data sets.
            knowledge_time: Up to when its knowledge reaches, aware UTC.
            offers: What it costs, the preferred tariff first; none: it is free.
            check: Is awaited before acceptance and refuses what the skill cannot answer within its limits, as a
                prompt of more tokens than `max_input_tokens`.

        Raises:
            UsageError: The id is taken or malformed, or the function is no async generator.
        """
        described = Skill(
            id=id,
            description=description,
            domains=tuple(domains),
            languages=tuple(languages),
            input_media_types=tuple(input_media_types),
            output_media_type=output_media_type,
            input_schema=input_schema,
            output_schema=output_schema,
            accepts_answer_schema=accepts_answer_schema,
            gives_citations=gives_citations,
            gives_confidence=gives_confidence,
            gives_intake=gives_intake,
            model_ids=tuple(model_ids),
            limits=limits,
            max_data_class=max_data_class,
            measured_quality=tuple(measured_quality),
            knowledge_time=knowledge_time,
        )

        def serve(handler: HandlerT) -> HandlerT:
            self.add_skill(described, handler=handler, offers=offers, check=check)
            return handler

        return serve

    def add_skill(
        self, skill: Skill, *, handler: Handler, offers: Iterable[Offer] = (), check: Check | None = None
    ) -> None:
        """Serves a skill that is described already; `skill` is the same as a decorator.

        Raises:
            UsageError: The id is taken or malformed, a model is not among the node's, the handler is no async
                generator function, or it costs something and the node is not paid.
        """
        tariff_ids = self._prices.add(skill.id, offers)
        if tariff_ids and self._payments is None:
            raise UsageError(
                f"the skill {skill.id!r} costs something, and Node(payments=…) does not say how it is paid"
            )
        skill = replace(skill, tariff_ids=tariff_ids)
        known = {model.id for model in self._models}
        if unknown := [model_id for model_id in skill.model_ids if model_id not in known]:
            raise UsageError(f"the skill {skill.id!r} names the model {unknown[0]!r}, which is not in Node(models=…)")
        self._skills.add(skill, handler=handler, check=check)

    def serving(self, address: str, *, advertise: Sequence[str] = ()) -> RunningNode:
        """Returns the node as an async context manager that serves while it is open.

        Leaving the block ends running answers at once, with a Final that says so; `RunningNode.stop` drains first.

        Args:
            address: `host:port` to listen on; port 0: any free one, which `RunningNode.port` then tells.
            advertise: `host:port` under which others reach it, the preferred one first. Needed where `address` is a
                wildcard.

        Raises:
            UsageError: There is no skill, or the address cannot be served.
            KeyFileError: A key cannot be read or made.
        """
        return RunningNode(self._plan(), address=address, advertise=advertise)

    def run(
        self, address: str, *, advertise: Sequence[str] = (), ready: Callable[[RunningNode], None] = introduce
    ) -> None:
        """Serves until SIGINT or SIGTERM, then drains; a second signal ends the drain.

        Is the end of a program: where the node cannot serve, what happened and what to do is said on standard error,
        and the exit code is 1. `serving` raises instead.

        Args:
            address: `host:port` to listen on.
            advertise: `host:port` under which others reach it.
            ready: Is called once the node takes asks; unless told otherwise, it says on standard error where the node
                serves, and its skills.

        Raises:
            SystemExit: The node cannot serve: what `serving` and `RunningNode.start` raise stands behind it.
        """
        try:
            asyncio.run(self._run(address, advertise, ready))
        except ConsilienceError as error:
            sys.exit(f"{error}\n{error.remedy}")

    async def _run(self, address: str, advertise: Sequence[str], ready: Callable[[RunningNode], None]) -> None:
        running = self.serving(address, advertise=advertise)  # in the loop, which the server of grpc binds to
        signals: asyncio.Queue[int] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, signals.put_nowait, number)
        async with running:
            ready(running)
            await signals.get()
            drain = asyncio.create_task(running.stop(self._drain_time))
            second = asyncio.create_task(signals.get())
            await asyncio.wait({drain, second}, return_when=asyncio.FIRST_COMPLETED)
            second.cancel()
            if not drain.done():
                running.hurry()
            await drain

    def _plan(self) -> Plan:
        root = self._root()
        keys = self._signing_keys(root)
        trade = None if self._payments is None else self._trade(self._payments, keys=NodeKeys(root=root, signing=keys))
        tested = self._conformance
        skills = self._skills.followed_by(self._script(trade)) if tested else self._skills
        further = ((Profile.PAY, trade), (Profile.REGISTRY, self._registry), (Profile.CONFORMANCE, tested or None))
        return Plan(
            description=Description(
                name=self._name,
                description=self._description,
                skills=skills.described,
                models=(*self._models, SCRIPT_MODEL) if tested else self._models,
                limits=self._limits,
                data_policy=self._data_policy,
                next_root=self._next_root,
                extensions=self._extensions,
                profiles=tuple(profile for profile, served in further if served is not None),
                tariffs=() if trade is None else trade.prices.tariffs,
                rails=() if trade is None else trade.listed,
                registries=self._registries,
            ),
            skills=skills,
            root=root,
            keys=keys,
            store=self._answer_store(),
            tls=self._own_tls(),
            observer=self._observer,
            tracer=self._tracer,
            clock=self._clock,
            card_lifetime=self._card_lifetime,
            drain_time=self._drain_time,
            replica=self._replica,
            successions=self._successions,
            kept_card=self._kept_card,
            trade=trade,
            registry=self._registry,
            peers=self._peers,
        )

    def _trade(self, payments: Payments, *, keys: NodeKeys) -> Trade:
        return Trade(payments=payments, rails=tuple(rail.payee(keys) for rail in payments.rails), prices=self._prices)

    def _script(self, trade: Trade | None) -> ServedSkill:
        """Returns the skill of testers, which costs something of no value where the ask names a payment."""
        served = script_skill(clock=self._clock)
        if trade is None:
            return served
        assets = [asset for rail in trade.listed if rail.network == TEST_NETWORK for asset in rail.assets]
        offers = script_offers(assets, lifetime=trade.prices.shortest_lifetime)
        tariff_ids = trade.prices.add(served.skill.id, offers)
        return replace(served, skill=replace(served.skill, tariff_ids=tariff_ids))

    def _root(self) -> Signer:
        return KeyPair.load_or_create(self._key) if isinstance(self._key, Path) else self._key

    def _own_tls(self) -> Tls | None:
        """Returns the transport; a pinned certificate lies beside the root key where no other place was named."""
        unplaced = self._tls is not None and self._tls.certificate is None
        return (
            Tls.pinned(self._key.with_name(CERTIFICATE_FILE)) if unplaced and isinstance(self._key, Path) else self._tls
        )

    def _signing_keys(self, root: Signer) -> SigningKeys:
        if isinstance(self._signing_key, Path):
            return RotatingKeys(self._signing_key, notice=self._card_lifetime + self._limits.max_run_time)
        return FixedKey(self._signing_key or root)

    def _answer_store(self) -> AnswerStore:
        if self._store is None:
            return MemoryStore()
        return store_at(self._store) if isinstance(self._store, str) else self._store


def _located(key: Signer | Path | str) -> Signer | Path:
    """Returns a key as it is, or the path that a string spells."""
    return Path(key) if isinstance(key, str) else key
