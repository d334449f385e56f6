"""Serving: a node that runs, from its first card to the end of its drain (spec section 1.5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from consilience.asks import StopReason
from consilience.envelopes import Signed
from consilience.errors import ConsilienceError, UsageError
from consilience.identity import Signer, format_node_id
from consilience.nodes import Endpoint, NodeAddress, NodeCard
from consilience.reviews import OpenRecord, Record
from consilience.server.admission import House
from consilience.server.answers import Answers
from consilience.server.asks import AskService
from consilience.server.cards import CardIssuer
from consilience.server.descriptions import Description
from consilience.server.faults import log_fault
from consilience.server.keys import SigningKeys
from consilience.server.load import Load
from consilience.server.observers import Observer
from consilience.server.payments.admission import PaidAdmission
from consilience.server.payments.business import payment_service, till_of
from consilience.server.payments.offers import Trade
from consilience.server.ports import require_free
from consilience.server.recovery import Recovery
from consilience.server.registry.announcing import Announcer
from consilience.server.registry.office import Registry, RegistryOffice
from consilience.server.registry.peers import Peers
from consilience.server.skills import SkillBook
from consilience.server.store.contract import AnswerStore
from consilience.server.tls import Tls, Transport, make_transport
from consilience.server.transport import make_server
from consilience.server.workplaces import Workplace
from consilience.telemetry import Tracer
from consilience.units import PublicKey

HEARTBEAT = timedelta(seconds=5)
"""How often leases are renewed and everything else that has its time is looked after."""

LEASE = timedelta(seconds=20)
"""How long after its last heartbeat the answers of a replica can be taken over."""

LAST_WRITES_SECONDS = 2.0
"""How long readers get, at the end of a drain, to take the Final that they are owed."""

_WILDCARDS = {"0.0.0.0", "::"}  # noqa: S104 - the point is to notice them
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a running node is made of.

    Attributes:
        description: What the cards say.
        skills: What can be asked.
        root: Signs cards; its key is the node id.
        keys: Sign answers.
        store: Keeps answers; opened and closed by the running node.
        tls: None: loopback alone.
        observer: Is told what happens.
        tracer: Follows the asks.
        clock: Tells the aware UTC time.
        card_lifetime: Of each card.
        drain_time: How long running answers get to finish when the node is stopped.
        replica: The id of this process among those that share the store; None: the URI of its first endpoint.
        successions: Of former root keys, oldest first.
        kept_card: The file of the newest card; None: there is none.
        trade: What the node is paid for; None: it is free.
        registry: Where it keeps the records of everyone; None: it is no registry.
        peers: How it reaches other registries; None: it does not.
    """

    description: Description
    skills: SkillBook
    root: Signer
    keys: SigningKeys
    store: AnswerStore
    tls: Tls | None
    observer: Observer
    tracer: Tracer
    clock: Callable[[], datetime]
    card_lifetime: timedelta
    drain_time: timedelta
    replica: str | None
    successions: tuple[OpenRecord, ...]
    kept_card: Path | None
    trade: Trade | None
    registry: Registry | None
    peers: Peers | None


class RunningNode:
    """A node that serves on a port. Made by `Node.serving`."""

    def __init__(self, plan: Plan, *, address: str, advertise: Sequence[str] = ()) -> None:
        """Prepares to serve.

        Args:
            plan: What the node is made of.
            address: `host:port` to listen on; port 0: any free one.
            advertise: `host:port` under which others reach it, the preferred one first; empty: `address`.

        Raises:
            UsageError: The address can be reached from elsewhere without TLS, or is no address to call.
            KeyFileError: The certificate cannot be read or made.
        """
        self._plan = plan
        self._listen = _listen_address(address, advertise=advertise)
        self._advertise = tuple(advertise)
        node_id = plan.root.public_key
        self._transport: Transport = make_transport(
            plan.tls,
            node_id=node_id,
            former_ids=[PublicKey(each.object.envelope.public_key) for each in plan.successions],
            host=self._listen.host,
            now=plan.clock(),
        )
        limits = plan.description.limits
        till = till_of(plan.store, node_id=node_id, keys=plan.keys, clock=plan.clock)
        workplace = Workplace(
            node_id=node_id,
            keys=plan.keys,
            store=plan.store,
            retention=limits.answer_retention,
            max_run_time=limits.max_run_time,
            observer=plan.observer,
            clock=plan.clock,
            till=till,
        )
        load = Load()
        self._recovery = Recovery(workplace)
        self._answers = Answers(workplace, load=load, max_readers=limits.max_readers_per_answer)
        self._cards = CardIssuer(
            plan.description,
            root=plan.root,
            keys=plan.keys,
            store=plan.store,
            endpoints=self._endpoints,
            clock=plan.clock,
            lifetime=plan.card_lifetime,
            successions=plan.successions,
            kept_card=plan.kept_card,
        )
        house = House(
            node_id=node_id,
            limits=limits,
            data_policy=plan.description.data_policy,
            extensions=frozenset(plan.description.extensions),
        )
        self._payments = None
        if plan.trade is not None:
            self._payments = payment_service(
                plan.trade,
                durable=plan.store.durable,
                till=till,
                house=house,
                cards=self._cards,
                skills=plan.skills,
                load=load,
            )
        self._asks = AskService(
            house=house,
            skills=plan.skills,
            cards=self._cards,
            answers=self._answers,
            load=load,
            clock=plan.clock,
            retry_after=plan.drain_time,
            tracer=plan.tracer,
            payments=None if self._payments is None else PaidAdmission.at(self._payments),
        )
        self._office = None
        if plan.registry is not None:
            self._office = RegistryOffice(plan.registry, limits=limits, clock=plan.clock, peers=plan.peers)
        reached = {} if plan.peers is None else {name: plan.peers(name) for name in plan.description.registries}
        self._announcer = Announcer(reached, records=self._own_records)
        self._server, self._health = make_server(
            asks=self._asks,
            cards=self._cards,
            observer=plan.observer,
            payments=self._payments,
            registry=None if self._office is None else self._office.service,
        )
        self._upkeep: asyncio.Task[None] | None = None
        self._hurried = asyncio.Event()
        self.port = 0

    @property
    def node_id(self) -> PublicKey:
        """The root key of the node, 32 bytes."""
        return self._plan.root.public_key

    @property
    def address(self) -> str:
        """What an asker on this network writes: `cn1…@host:port`."""
        return f"{format_node_id(self.node_id)}@{self._authorities()[0]}"

    @property
    def card(self) -> Signed[NodeCard]:
        """The present card."""
        return self._cards.current

    @property
    def running_asks(self) -> int:
        """How many answers are worked on now."""
        return len(self._answers.running)

    async def start(self) -> None:
        """Opens port and store, ends what an earlier life left behind, issues a card, and takes asks.

        Raises:
            UsageError: The port is taken, or the card would be too large.
            StoreError: The store cannot be opened.
        """
        now, store = self._plan.clock(), self._plan.store
        try:
            self._open_port()
            replica = self._plan.replica or self._endpoints()[0].uri
            await store.open(replica=replica, lease_until=now + LEASE)
            await self._recovery.end_abandoned(now=now)
            if self._payments is not None:
                await self._payments.poll(now=now)
            await self._cards.issue()
            if self._office is not None:
                await self._office.open()
                await self._office.tend(now=now, own=self._own_records())
            await self._health.serving()
            await self._server.start()
        except BaseException:
            await self._server.stop(None)
            await self._close_books()
            raise
        self._upkeep = asyncio.create_task(self._keep_up())
        self._announcer.start()
        _LOGGER.info("serving %s", self.address)

    async def tend(self) -> None:
        """Does what has its time: leases, abandoned answers, certificate, card, answers to forget.

        It happens by itself every `HEARTBEAT`; a test with a clock of its own calls it.
        """
        now, store = self._plan.clock(), self._plan.store
        await store.renew(until=now + LEASE)
        if store.durable:
            for run in self._answers.running:
                await run.check_lease()
        await self._recovery.end_abandoned(now=now)
        if self._payments is not None:
            await self._payments.poll(now=now)
        if self._transport.renew(now=now):
            await self._cards.issue()
        else:
            await self._cards.renew()
        await store.forget(now=now)
        if self._office is not None:
            await self._office.tend(now=now, own=self._own_records())

    async def stop(self, drain: timedelta | None = None) -> None:
        """Ends the node: refuses new asks, waits for running answers, and ends those that take too long.

        Args:
            drain: How long they get; None: the `drain_time` of the node. Afterwards each gets a signed Final, FAILED
                for INTERRUPTED, which its readers still receive.
        """
        if self._asks.draining:
            return
        self._asks.draining = True
        await self._health.draining()
        patience = self._plan.drain_time if drain is None else drain
        try:
            if not await self._settled(patience.total_seconds()):
                for run in self._answers.running:
                    run.stop(StopReason.INTERRUPTED)
                self._hurried.clear()
                if not await self._settled(LAST_WRITES_SECONDS):
                    _LOGGER.error("%d answers are left without a Final", self.running_asks)
            await self._server.stop(LAST_WRITES_SECONDS)
        finally:
            await self._close()

    def hurry(self) -> None:
        """Cuts the patience of a `stop` that is under way."""
        self._hurried.set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(timedelta(0))

    async def _close(self) -> None:
        for run in self._answers.running:
            run.kill()
        if self._upkeep is not None:
            self._upkeep.cancel()
            await asyncio.wait({self._upkeep})
        await self._announcer.close()
        await self._server.stop(None)
        await self._close_books()

    async def _close_books(self) -> None:
        """Closes what the node keeps, whatever of it was opened."""
        if self._office is not None:
            await self._office.close()
        if self._payments is not None:
            await self._payments.close()
        await self._plan.store.close()

    async def _settled(self, seconds: float) -> bool:
        """Waits until no answer runs; returns whether that came in time, and before anyone hurried."""
        settled = asyncio.create_task(self._answers.settled())
        hurried = asyncio.create_task(self._hurried.wait())
        await asyncio.wait({settled, hurried}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        settled.cancel()
        hurried.cancel()
        return not self._answers.running

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT.total_seconds())
            try:
                await self.tend()
            except ConsilienceError as error:
                # The next heartbeat tries again; nothing depends on this one alone.
                _LOGGER.warning("upkeep failed: %s", error)
            except Exception as error:  # noqa: BLE001 - as above
                log_fault(_LOGGER, "upkeep failed", error=error)

    def _own_records(self) -> tuple[Record, ...]:
        """Returns what registries shall hold of this node, in the order in which they have to come."""
        handed_over = [each.record for each in self._plan.successions if each.card is not None]
        return (*handed_over, Record(object=self.card.envelope))

    def _open_port(self) -> None:
        credentials, address = self._transport.credentials(), self._listen.authority
        require_free(self._listen)
        try:
            if credentials is None:
                self.port = self._server.add_insecure_port(address)
            else:
                self.port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise UsageError(f"cannot listen on {address}: {error}") from None
        if not self.port:
            raise UsageError(f"cannot listen on {address}")

    def _authorities(self) -> tuple[str, ...]:
        if self._advertise:
            return self._advertise
        host = f"[{self._listen.host}]" if ":" in self._listen.host else self._listen.host
        return (f"{host}:{self.port or self._listen.port}",)

    def _endpoints(self) -> tuple[Endpoint, ...]:
        return tuple(self._transport.endpoint(authority) for authority in self._authorities())


def _listen_address(address: str, *, advertise: Sequence[str]) -> NodeAddress:
    """Reads the `host:port` to listen on.

    Raises:
        UsageError: It is none, or a wildcard that nobody can call while no other address is advertised.
    """
    listen = NodeAddress(authority=address)
    try:
        complete = bool(listen.host) and address.rpartition(":")[2].isdecimal() and listen.port >= 0
    except ValueError:
        complete = False
    if not complete:
        raise UsageError(f"{address!r} is no host:port to listen on")
    if listen.host in _WILDCARDS and not advertise:
        raise UsageError(f"nobody can call {listen.host}: name the address that others use with advertise=[…]")
    return listen
