"""Cards: how the card of a node is had, believed and kept (spec sections 1.2 to 1.4)."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from consilience._wire.envelopes import open_envelope
from consilience._wire.services import GET_NODE_CARD_METHOD, decode_card_response, encode_card_request
from consilience.client.card_memory import CardMemory
from consilience.client.connections import Connection, Connections
from consilience.client.contacts import first_contact, other_endpoints, pinning_endpoint, settle
from consilience.client.peers import held_to_protocol
from consilience.client.routes import Route
from consilience.envelopes import Envelope, Signed
from consilience.errors import ProtocolError, TransportError, UnreachableError
from consilience.identity import format_node_id
from consilience.nodes import KeySuccession, NodeAddress, NodeCard, Profile, check_card, check_succession, newer_card
from consilience.units import Digest, PublicKey

NodeReference = str | NodeAddress | Signed[NodeCard]
"""A node: `cn1…@host:port`, `https://host:port`, `127.0.0.1:port`, or a card that was had elsewhere."""

MAX_SUCCESSIONS = 16
"""How many former root keys a node names at most."""

_Key = NodeAddress | Digest

read_address = functools.lru_cache(maxsize=1024)(NodeAddress.parse)


class Cards:
    """The cards that a client holds, each with the way to its node.

    Args:
        connections: Where connections come from.
        memory: What was seen before.
        clock: Tells the time that cards are held against.
        max_age_seconds: How long a card is used without another look.
        fetch_seconds: Bounds fetching one.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        memory: CardMemory,
        clock: Callable[[], datetime],
        max_age_seconds: float,
        fetch_seconds: float,
    ) -> None:
        self._connections = connections
        self._memory = memory
        self._clock = clock
        self._max_age_seconds = max_age_seconds
        self._fetch_seconds = fetch_seconds
        self._routes: dict[_Key, Route] = {}
        self._winners: dict[PublicKey, Digest] = {}
        self._fetches: dict[_Key, asyncio.Task[Route]] = {}

    def cached(self, node: NodeReference) -> Route | None:
        """Returns the way to a node where its card is held and still good: young, and no other has won against it."""
        route = self._routes.get(_key(node))
        if route is None or time.monotonic() - route.fetched_at > self._max_age_seconds:
            return None
        card = route.card.value
        good = self._clock() < card.expire_time and self._winners.get(card.node_id) == route.card_digest
        return route if good else None

    async def route(self, node: NodeReference) -> Route:
        """Returns the way to a node, whose card is fetched and verified where none is held.

        Raises:
            UnreachableError: The node cannot be reached.
            ProtocolError: The card, its certificate or its history does not hold.
        """
        return self.cached(node) or await self.refreshed(node)

    async def refreshed(self, node: NodeReference) -> Route:
        """Returns the way to a node after its card was fetched again; raises as `route`.

        However many callers wait for a card, it is fetched once.
        """
        key = _key(node)
        fetch = self._fetches.get(key)
        if fetch is None:
            fetch = self._fetches[key] = asyncio.create_task(self._fetch(node, key))
            fetch.add_done_callback(functools.partial(self._fetched, key))
        return await asyncio.shield(fetch)

    async def newest(self, cards: Iterable[Signed[NodeCard]]) -> tuple[Signed[NodeCard], ...]:
        """Returns the cards, had elsewhere, that may be used after all that was seen (NODE-CARD-004).

        In the place of one that loses to a card that was kept, that one is returned.
        """
        return await asyncio.to_thread(self._memory.glimpse, cards)

    async def successor(self, node_id: PublicKey) -> PublicKey | None:
        """Returns the root key to which one handed over, as far as that was followed before; None: to nobody."""
        succession = await asyncio.to_thread(self._memory.succession_of, node_id)
        return None if succession is None else succession.value.new_node_id

    async def seen(self, node_id: PublicKey) -> Signed[NodeCard] | None:
        """Returns the newest card seen of a node, whatever its root key is now; None: none that is still good."""
        for _ in range(MAX_SUCCESSIONS):
            node_id = await self.successor(node_id) or node_id
        card = await asyncio.to_thread(self._memory.newest, node_id)
        return card if card is not None and self._clock() < card.value.expire_time else None

    async def succeed(self, succession: Signed[KeySuccession], *, card: Signed[NodeCard] | None = None) -> PublicKey:
        """Follows one hand-over, remembers it, and returns the new root key.

        Args:
            succession: Of whatever origin; its signatures were verified.
            card: A card of the old root key that came with it.

        Raises:
            ProtocolError: The newest card seen of the old root key, this one included, does not commit to the new one,
                or there is none (NODE-KEY-003).
        """
        old_node_id = succession.value.old_node_id
        seen = None if card is None else await asyncio.to_thread(self._memory.keep, card)
        held = await asyncio.to_thread(self._memory.newest, old_node_id)
        if card is not None and seen is not None and (held is None or held.digest != seen.digest):
            # The newest was found elsewhere and is not at hand; one that commits to the same key tells as much.
            held = card if card.value.next_root_digest == seen.commitment else None
        if held is None:
            raise ProtocolError(
                f"the newest card seen of {format_node_id(old_node_id)} is not there to tell to whom it hands over",
                requirement="NODE-KEY-003",
            )
        new_node_id = check_succession(succession, old_card=held)
        await asyncio.to_thread(self._memory.keep_succession, succession)
        return new_node_id

    async def believe(self, card: Signed[NodeCard]) -> Signed[NodeCard]:
        """Returns a card that was had elsewhere, checked as one that its node gave out, and remembers it.

        Whoever has it may be behind: in the place of one that loses to a card that was kept, that one is returned.

        Raises:
            ProtocolError: The one that wins does not hold, or is newer and not at hand.
        """
        kept = await asyncio.to_thread(self._memory.newest, card.value.node_id)
        winner = card if kept is None else newer_card(card, kept)
        await self._believe(winner)
        return winner

    async def close(self) -> None:
        """Ends the fetches that are under way."""
        fetches = tuple(self._fetches.values())
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)

    async def _fetch(self, node: NodeReference, key: _Key) -> Route:
        known = self._routes.get(key)
        try:
            async with asyncio.timeout(self._fetch_seconds):
                route = await (self._again(known, node) if known else self._first(node))
        except TimeoutError as error:
            raise UnreachableError(f"no card came within {self._fetch_seconds:g} s") from error
        self._routes[key] = route
        return route

    def _fetched(self, key: _Key, fetch: asyncio.Task[Route]) -> None:
        del self._fetches[key]
        if not fetch.cancelled():
            fetch.exception()  # looked at, in case that nobody waits for it any more

    async def _first(self, node: NodeReference) -> Route:
        """Returns the way to a node that was not reached before."""
        if isinstance(node, Signed):
            card = await self.believe(node)
            return await Route.to(card, connections=self._connections, endpoints=card.value.endpoints)
        address = _address(node)
        contact = await first_contact(address, connections=self._connections, seconds=self._fetch_seconds)
        try:
            card = await self._card_from(contact, expected=address.node_id)
            connection = await settle(contact, card.value, connections=self._connections)
        except BaseException:
            await self._connections.discard(contact)
            raise
        endpoints = (connection.endpoint, *other_endpoints(card.value, contact=connection.endpoint))
        return Route(card, connections=self._connections, endpoints=endpoints, connection=connection)

    async def _again(self, known: Route, node: NodeReference) -> Route:
        """Fetches the card of a known node on the connection that is there, else begins anew."""
        connection = known.connection
        expected = node.value.node_id if isinstance(node, Signed) else _address(node).node_id
        try:
            card = await self._card_from(connection, expected=expected)
        except TransportError:
            if isinstance(node, Signed):
                await known.recover(connection)
                raise
            return await self._first(node)
        pinned = connection.certificate
        if pinned is not None and pinning_endpoint(card.value, pinned) is None:
            return await self._first(card if isinstance(node, Signed) else node)
        return known.renewed(card)

    async def _card_from(self, connection: Connection, *, expected: PublicKey | None) -> Signed[NodeCard]:
        """Fetches a card and believes it, or its author's right to succeed the node that is expected."""
        try:
            response = await connection.call(GET_NODE_CARD_METHOD, encode_card_request(), seconds=self._fetch_seconds)
        except TransportError as error:
            raise UnreachableError(f"no card came from {connection.endpoint.uri}: {error}") from error
        with held_to_protocol():
            envelope, successions = decode_card_response(response)
            card = open_envelope(envelope, NodeCard)
        if expected is not None and card.value.node_id != expected:
            await self._follow(successions, from_node=expected, to_node=card.value.node_id)
        await self._believe(card)
        return card

    async def _believe(self, card: Signed[NodeCard]) -> None:
        """Checks a card against the clock and against what was seen before."""
        try:
            check_card(card, now=self._clock())
            for endpoint in card.value.endpoints:
                _ = urlsplit(endpoint.uri).port
        except ValueError as error:
            raise ProtocolError(
                f"the card names an endpoint that is none: {error}", requirement="ERR-FLD-001"
            ) from error
        may_serve_nothing = Profile.REGISTRY in card.value.profiles
        if not card.value.endpoints or not (card.value.skills or may_serve_nothing):
            raise ProtocolError("the card names no endpoint or no skill", requirement="ERR-FLD-001")
        newest = await asyncio.to_thread(self._memory.keep, card)
        self._winners[card.value.node_id] = newest.digest
        if newest.digest != card.digest:
            raise ProtocolError(
                f"the card is older than one of the same node that was seen before: sequence {card.value.sequence}"
                f" after {newest.sequence}",
                requirement="NODE-CARD-004",
            )

    async def _follow(self, successions: Sequence[Envelope], *, from_node: PublicKey, to_node: PublicKey) -> None:
        """Follows the hand-overs of a node from the root key that was expected to the one that answers.

        Each step needs the newest card of the key that hands over, because that card commits to the next key; one
        that was never seen here cannot be followed.
        """
        if len(successions) > MAX_SUCCESSIONS:
            raise ProtocolError(f"the node names more than {MAX_SUCCESSIONS} former keys", requirement="ERR-FLD-001")
        with held_to_protocol():
            opened = [open_envelope(succession, KeySuccession) for succession in successions]
        by_old_key = {succession.value.old_node_id: succession for succession in opened}
        current = from_node
        while current != to_node:
            step = by_old_key.pop(current, None)
            if step is None:
                raise ProtocolError(
                    f"{format_node_id(to_node)} answers in place of {format_node_id(from_node)},"
                    " and no card seen before hands over to it",
                    requirement="NODE-KEY-003",
                )
            current = await self.succeed(step)


def _key(node: NodeReference) -> _Key:
    return node.digest if isinstance(node, Signed) else _address(node)


def _address(node: str | NodeAddress) -> NodeAddress:
    return read_address(node) if isinstance(node, str) else node
