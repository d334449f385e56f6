"""Asks, entries and times to store."""

import os
from datetime import UTC, datetime, timedelta

from consilience.server.store.contract import AskKey, LogEntry, StoredAsk, StoredCard
from consilience.units import CardSequence, Digest, EncodedEnvelope, PublicKey, RequestId, Sequence

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
LEASE_END = NOW + timedelta(seconds=15)
FINISH = NOW + timedelta(seconds=5)
KEEP_END = NOW + timedelta(hours=30)
LATER_THAN_ALL = NOW + timedelta(days=365)
REPLICA = "http://127.0.0.1:7341"
OTHER_REPLICA = "http://127.0.0.1:7342"
CARD = Digest(b"\x07" * 32)


def new_key() -> AskKey:
    return AskKey(caller=PublicKey(os.urandom(32)), request_id=RequestId(os.urandom(16)))


def running_ask(*, key: AskKey | None = None, replica: str = REPLICA, accept_time: datetime = NOW) -> StoredAsk:
    """Returns an ask as a node binds it."""
    return StoredAsk(
        key=key or new_key(),
        ask_digest=Digest(os.urandom(32)),
        card_digest=Digest(os.urandom(32)),
        accept_time=accept_time,
        expire_time=NOW + timedelta(minutes=2),
        replica=replica,
    )


def issued_card(*, digest: Digest = CARD, sequence: int = 1, expire_time: datetime = KEEP_END) -> StoredCard:
    """Returns a card as its issuer keeps it."""
    envelope = EncodedEnvelope(b"card %d" % sequence)
    return StoredCard(digest=digest, sequence=CardSequence(sequence), expire_time=expire_time, envelope=envelope)


def entry(sequence: int) -> LogEntry:
    """Returns an entry; the second and every later one is a text delta, with text that is not ASCII."""
    text = None if sequence == 1 else f"wörd {sequence} \N{BUG}"
    return LogEntry(sequence=Sequence(sequence), data=b"\x00\xff event %d" % sequence, text=text)


def entries(first: int, last: int) -> tuple[LogEntry, ...]:
    return tuple(entry(sequence) for sequence in range(first, last + 1))


ACCEPTED = entry(1)
