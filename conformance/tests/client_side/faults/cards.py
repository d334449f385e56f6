"""Faults in believing a card, and in taking one node for another."""

import base64
import dataclasses
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from conformance.tests.client_side.faults.registry import fault, replace
from consilience.client import card_memory, cards, connections, contacts
from consilience.client.card_memory import CardMemory
from consilience.client.cards import Cards
from consilience.nodes import NodeCard, Profile, TlsMode, addresses, selection
from consilience.units import PublicKey, card_sequence


def _overlooks(name: str, right: Callable[[NodeCard, datetime], dict[str, Any]]) -> None:
    """Registers the fault of a client that checks a card as if some of its fields were right."""

    def apply() -> None:
        def make(check: Any) -> Any:
            def lenient(card: Any, *, now: datetime) -> None:
                check(
                    dataclasses.replace(card, value=dataclasses.replace(card.value, **right(card.value, now))), now=now
                )

            return lenient

        replace(cards, "check_card", make)

    fault(name)(apply)


_overlooks("believes-the-future", lambda card, now: {"sequence": min(card.sequence, card_sequence(now))})
_overlooks("believes-the-expired", lambda _, now: {"expire_time": now + timedelta(days=1)})
_overlooks("needs-no-core", lambda _, __: {"profiles": (Profile.CORE,)})
_overlooks("overlooks-how-long-keys-live", lambda _, __: {"signing_keys": ()})
_overlooks(
    "takes-plain-endpoints-elsewhere",
    lambda card, _: {"endpoints": tuple(one for one in card.endpoints if one.tls_mode is not TlsMode.LOOPBACK_PLAIN)},
)


@fault("reads-large-cards")
def _reads_large_cards() -> None:
    replace(selection, "MAX_CARD_BYTES", lambda _: 1 << 30)


@fault("takes-any-node")
def _takes_any_node() -> None:
    def make(fetch: Any) -> Any:
        async def lenient(self: Cards, connection: Any, *, expected: Any) -> Any:
            del expected
            return await fetch(self, connection, expected=None)

        return lenient

    replace(Cards, "_card_from", make)


@fault("reads-ids-leniently")
def _reads_ids_leniently() -> None:
    def lenient(text: str) -> PublicKey:
        return PublicKey(base64.b32decode(text.strip()[3:55].upper() + "===="))

    replace(addresses, "parse_node_id", lambda _: lenient)


@fault("forgets-cards")
def _forgets_cards() -> None:
    replace(CardMemory, "keep", lambda _: lambda _, card: card)


@fault("takes-the-later-of-two-equals")
def _takes_the_later_of_two_equals() -> None:
    def later(one: Any, other: Any) -> Any:
        return one if one.value.sequence >= other.value.sequence else other

    replace(card_memory, "newer_card", lambda _: later)


@fault("believes-any-commitment")
def _believes_any_commitment() -> None:
    replace(card_memory, "check_commitment_kept", lambda _: lambda *_, **__: None)
    replace(card_memory, "keeps_commitment", lambda _: lambda *_, **__: True)


@fault("follows-any-successor")
def _follows_any_successor() -> None:
    async def follow(_: Cards, *__: Any, **___: Any) -> None:
        """Follows."""

    replace(Cards, "_follow", lambda _: follow)


@fault("goes-on-asking-the-old-key")
def _goes_on_asking_the_old_key() -> None:
    def make(fetch: Any) -> Any:
        async def old(self: Cards, connection: Any, *, expected: Any) -> Any:
            card = await fetch(self, connection, expected=expected)
            if expected is None:
                return card
            return dataclasses.replace(card, value=dataclasses.replace(card.value, node_id=expected))

        return old

    replace(Cards, "_card_from", make)


@fault("overlooks-pins-at-first-contact")
def _overlooks_pins_at_first_contact() -> None:
    replace(contacts, "pinning_endpoint", lambda _: lambda card, _: card.endpoints[0])


@fault("overlooks-pins-of-a-known-node")
def _overlooks_pins_of_a_known_node() -> None:
    replace(connections, "key_digest_matches", lambda _: lambda *_: True)


@fault("greets-before-it-has-the-card")
def _greets_before_it_has_the_card() -> None:
    def make(meet: Any) -> Any:
        async def greet(*arguments: Any, **more: Any) -> Any:
            connection = await meet(*arguments, **more)
            if connection.certificate is not None:
                await connection.stream("consilience.v1.AskService/GetAnswer", b"", seconds=5.0).code()
            return connection

        return greet

    replace(cards, "first_contact", make)
