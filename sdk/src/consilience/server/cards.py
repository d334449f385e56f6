"""NodeService and the cards that it serves (spec section 1.2).

A card is issued at start and again at half its lifetime, with a sequence that never goes back. Every card that has not
expired is honoured: a memory store knows those of its own life, a durable one those of every life (ASK-CARD-001).
Replicas give out one card, the newest of all: whoever has seen it uses no earlier one any more (NODE-CARD-004).
What they say of the next root key, the cards of one root key go on saying (NODE-KEY-004).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from consilience._wire import envelopes, services
from consilience.calls import MAX_CLOCK_SKEW
from consilience.envelopes import Signed
from consilience.errors import UsageError
from consilience.identity import Signer, next_root_digest
from consilience.nodes import MAX_CARD_BYTES, Endpoint, NodeCard, Profile, keeps_commitment
from consilience.reviews import OpenRecord
from consilience.server.admission import check_size
from consilience.server.descriptions import Description
from consilience.server.keys import SigningKeys, keep_record, kept_record
from consilience.server.store.contract import AnswerStore, StoredCard, StoreError
from consilience.units import CardSequence, Digest, EncodedEnvelope, card_sequence, issue_time

DEFAULT_CARD_LIFETIME = timedelta(hours=24)

_LOGGER = logging.getLogger(__name__)


class CardIssuer:
    """Issues the cards of a node and knows which are honoured."""

    def __init__(
        self,
        description: Description,
        *,
        root: Signer,
        keys: SigningKeys,
        store: AnswerStore,
        endpoints: Callable[[], tuple[Endpoint, ...]],
        clock: Callable[[], datetime],
        lifetime: timedelta = DEFAULT_CARD_LIFETIME,
        successions: tuple[OpenRecord, ...] = (),
        kept_card: Path | None = None,
    ) -> None:
        """Takes what a card is made of; `issue` makes one.

        Args:
            description: What does not change.
            root: Signs the cards.
            keys: Sign the answers.
            store: Keeps sequences and digests of cards.
            endpoints: Returns where the node is reached, with its present pins.
            clock: Tells the aware UTC time.
            lifetime: Of a card.
            successions: Of former root keys, oldest first.
            kept_card: The file of the newest card; None: there is none.
        """
        self._description = description
        self._root = root
        self._keys = keys
        self._store = store
        self._endpoints = endpoints
        self._clock = clock
        self._lifetime = lifetime
        self._successions = tuple(succession.object.envelope for succession in successions)
        self._kept_card = kept_card
        self._current: Signed[NodeCard] | None = None
        self._digest: Digest | None = None
        self._response = b""
        self._issued_at = clock()
        # Cards are issued one after the other: one that was overtaken would be served after its successor.
        self._issuing = asyncio.Lock()

    @property
    def current(self) -> Signed[NodeCard]:
        """The newest card.

        Raises:
            UsageError: None was issued yet.
        """
        if self._current is None:
            raise UsageError("the node has no card before it serves")
        return self._current

    async def issue(self) -> Signed[NodeCard]:
        """Issues a card that takes the place of the one before, and remembers it.

        Raises:
            UsageError: It would be larger than 64 KiB, or commit to another next root key than the one before.
        """
        async with self._issuing:
            return await self._issue()

    async def renew(self) -> None:
        """Takes over a newer card of a sibling, and issues one where the present one has lived half its life.

        It is issued again, too, where the clock was set back behind its issue.
        """
        await self._take_over()
        if not self._is_due():
            return
        async with self._issuing:
            if self._is_due():
                await self._issue()

    def _is_due(self) -> bool:
        return not timedelta(0) <= self._clock() - self._issued_at < self._lifetime / 2

    async def _issue(self) -> Signed[NodeCard]:
        now = self._clock()
        sequence = await self._store.reserve_card_sequence(at_least=card_sequence(now))
        if (issued := issue_time(sequence)) - now > MAX_CLOCK_SKEW:
            _LOGGER.warning(
                "nobody uses a card of this node before %s UTC, and it is %s here: its last card was issued then, and"
                " each is to be later. Set the clock, if it is slow; if it was fast, that time has to be waited for",
                f"{issued:%F %T}",
                f"{now:%F %T}",
            )
        told = self._description
        card = NodeCard(
            node_id=self._root.public_key,
            sequence=sequence,
            expire_time=now + self._lifetime,
            name=told.name,
            description=told.description,
            next_root_digest=next_root_digest(told.next_root) if told.next_root is not None else b"",
            signing_keys=self._keys.listed(now=now),
            endpoints=self._endpoints(),
            skills=told.skills,
            models=told.models,
            limits=told.limits,
            data_policy=told.data_policy,
            profiles=(Profile.CORE, *((Profile.DURABLE,) if self._store.durable else ()), *told.profiles),
            tariffs=told.tariffs,
            rails=told.rails,
            registries=told.registries,
            extensions=told.extensions,
        )
        await self._check_commitment(card)
        signed = envelopes.seal(card, signer=self._root)
        if len(signed.envelope.payload) > MAX_CARD_BYTES:
            raise UsageError(f"the card has {len(signed.envelope.payload)} bytes, {MAX_CARD_BYTES} at most: say less")
        await self._store.remember_card(
            StoredCard(
                digest=signed.digest,
                sequence=sequence,
                expire_time=card.expire_time,
                envelope=EncodedEnvelope(envelopes.to_bytes(signed.envelope)),
            )
        )
        await self._give_out(signed, issued_at=now)
        return signed

    async def _check_commitment(self, card: NodeCard) -> None:
        """Refuses a card that nobody would use who has seen the last one."""
        last = await self._last_of_former_lives() if self._current is None else self._current.value
        if (
            last is not None
            and last.node_id == card.node_id
            and not keeps_commitment(card.next_root_digest, seen=last.next_root_digest)
        ):
            raise UsageError(
                "the cards of this root key commit to another next root key, and nobody who has seen one would use a"
                " card that does not (NODE-KEY-004): name that key again, or hand over to it first"
            )

    async def _last_of_former_lives(self) -> NodeCard | None:
        stored = await self._store.newer_card(than=CardSequence(0))
        if stored is not None:
            return envelopes.open_envelope(envelopes.from_bytes(stored.envelope), NodeCard).value
        if self._kept_card is None or not self._kept_card.exists():
            return None
        kept = (await asyncio.to_thread(kept_record, self._kept_card)).object.value
        return kept if isinstance(kept, NodeCard) else None

    async def _take_over(self) -> None:
        """Gives out the card of a sibling that is newer than the present one, as long as the store tells."""
        try:
            newer = await self._store.newer_card(than=self.current.value.sequence)
        except StoreError as error:
            _LOGGER.warning("whether a sibling has issued a newer card is not known: %s", error)
            return
        now = self._clock()
        if newer is None or newer.expire_time <= now:
            return
        card = envelopes.open_envelope(envelopes.from_bytes(newer.envelope), NodeCard)
        if card.value.node_id != self._root.public_key:
            return  # the store was another node's before
        async with self._issuing:
            if card.value.sequence > self.current.value.sequence:
                await self._give_out(card, issued_at=min(issue_time(card.value.sequence), now))

    async def _give_out(self, card: Signed[NodeCard], *, issued_at: datetime) -> None:
        response = services.encode_card_response(card.envelope, successions=self._successions)
        if self._kept_card is not None:
            await asyncio.to_thread(keep_record, OpenRecord(object=card), path=self._kept_card)
        self._current, self._digest, self._response, self._issued_at = card, card.digest, response, issued_at

    async def honours(self, digest: Digest, *, now: datetime) -> bool:
        """Tells whether asks may rely on a card (ASK-CARD-001)."""
        if digest == self._digest and now < self.current.value.expire_time:
            return True
        return await self._store.honours_card(digest, now=now)

    async def get_node_card(self, request: bytes) -> bytes:
        """Returns the present card and the successions: the method of NodeService."""
        check_size(request, limits=self._description.limits)
        services.check_card_request(request)
        await self.renew()
        return self._response
