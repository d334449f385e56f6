"""What the methods of registries bring, read without trust, and what publishing came to (spec sections 4.4 and 4.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.protobuf.message import DecodeError, Message

from consilience.v1 import registry_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.registry_methods import FIND_NODES, GET_RECORD, LIST_RECORDS, PUBLISH, SYNC_RECORDS
from consilience_conformance.rules.payments import response_of
from consilience_conformance.rules.refusals import outcome_of, refused, was_accepted
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import enum_name

RESPONSES: dict[str, type[Message]] = {
    PUBLISH: registry_pb2.PublishRecordResponse,
    GET_RECORD: registry_pb2.GetRecordResponse,
    LIST_RECORDS: registry_pb2.ListRecordsResponse,
    FIND_NODES: registry_pb2.FindNodesResponse,
    SYNC_RECORDS: registry_pb2.SyncRecordsResponse,
}

STORED, KNOWN, SUPERSEDED = "STORED", "KNOWN", "SUPERSEDED"
_PREFIX = "PUBLISH_OUTCOME_"


def published(exchange: Exchange) -> registry_pb2.Record:
    """Returns the record that a call of PublishRecord brought, as it was sent."""
    return registry_pb2.PublishRecordRequest.FromString(exchange.request).record


def fate_of(exchange: Exchange) -> str:
    """Returns what became of a record: STORED, KNOWN, SUPERSEDED, or how the call was refused."""
    response = response_of(exchange, registry_pb2.PublishRecordResponse)
    if response is None:
        return outcome_of(exchange)
    return enum_name(registry_pb2.PublishOutcome.DESCRIPTOR, response.outcome).removeprefix(_PREFIX)


def came_to(exchange: Exchange, *outcomes: str, requirement: str, called: str = "") -> Iterator[Finding]:
    """Yields that a record was refused, or came to something else than these outcomes, each of which will do.

    Args:
        exchange: A call of PublishRecord.
        outcomes: STORED, KNOWN, SUPERSEDED.
        requirement: The rule that wants it.
        called: What findings call it, where the name of the exchange is not the same in every run.
    """
    got = fate_of(exchange)
    if got not in outcomes:
        yield Finding(
            requirement=requirement,
            message=f"{called or exchange.name} did not come to {' or '.join(outcomes)}",
            expected=" or ".join(outcomes),
            got=f"{got}: {exchange.message}" if exchange.message else got,
            exchange=exchange.name,
        )


def asked_for(exchange: Exchange) -> bytes:
    """Returns the digest that a call of GetRecord named, as it was sent."""
    return registry_pb2.GetRecordRequest.FromString(exchange.request).digest


def record_in(exchange: Exchange) -> registry_pb2.Record | None:
    """Returns the record that GetRecord brought, or None."""
    response = response_of(exchange, registry_pb2.GetRecordResponse)
    return response.record if response is not None else None


def serves(exchange: Exchange, record: registry_pb2.Record, *, requirement: str) -> Iterator[Finding]:
    """Yields that GetRecord did not bring a record, by its digest."""
    got = record_in(exchange)
    if got is None:
        yield from was_accepted(exchange, requirement=requirement)
    elif envelopes.envelope_digest(got.object) != envelopes.envelope_digest(record.object):
        yield Finding(
            requirement=requirement,
            message=f"{exchange.name} brought another record",
            expected=envelopes.envelope_digest(record.object).hex(),
            got=envelopes.envelope_digest(got.object).hex(),
            exchange=exchange.name,
        )


def serves_not(exchange: Exchange, *, requirement: str) -> Iterator[Finding]:
    """Yields that GetRecord brought what is not to be there, or was refused for another reason."""
    yield from refused(exchange, "RECORD_UNKNOWN", requirement=requirement)


def pages(seen: Transcript, name: str) -> Iterator[Exchange]:
    """Yields the calls that fetched all pages of a listing, in their order; see `Publisher.listed`."""
    by_name = {exchange.name: exchange for exchange in seen.exchanges}
    number = 1
    while found := by_name.get(name if number == 1 else f"{name} {number}"):
        yield found
        number += 1


def next_page_of(exchange: Exchange) -> bytes:
    """Returns the token of the page after this one; empty: it was the last one, or none came."""
    kind = RESPONSES[exchange.method]
    response = response_of(exchange, kind)
    return bytes(getattr(response, "next_page_token", b""))


def listed(exchanges: Iterable[Exchange]) -> list[registry_pb2.Record]:
    """Returns the records on pages of ListRecords, in their order."""
    responses = [response_of(one, registry_pb2.ListRecordsResponse) for one in exchanges]
    return [record for response in responses if response is not None for record in response.records]


def found(exchanges: Iterable[Exchange]) -> list[SignedEnvelope]:
    """Returns the cards on pages of FindNodes, in their order."""
    responses = [response_of(one, registry_pb2.FindNodesResponse) for one in exchanges]
    return [card for response in responses if response is not None for card in response.cards]


def synced(exchange: Exchange) -> list[registry_pb2.SyncRecordsResponse]:
    """Returns the responses of SyncRecords, as far as they parse."""
    responses = []
    for response in exchange.responses:
        try:
            responses.append(registry_pb2.SyncRecordsResponse.FromString(response.data))
        except DecodeError:
            continue  # rules of fields tell it
    return responses


def last_cursor(exchange: Exchange, *, before: bytes) -> bytes:
    """Returns the cursor of the last response of SyncRecords, or the one that was known before where none came."""
    responses = synced(exchange)
    return responses[-1].cursor if responses else before


def holds(
    seen: Transcript, name: str, *records: registry_pb2.Record, requirement: str, message: str
) -> Iterator[Finding]:
    """Yields that a listing holds other records than these, whatever their order, by their bytes.

    Args:
        seen: The transcript.
        name: Of the listing; see `Publisher.listed`.
        records: What it has to hold, each once, with the card beside it.
        requirement: The rule that wants it.
        message: What is wrong where it does not.
    """
    exchanges = list(pages(seen, name))
    refused_pages = [one for one in exchanges if not one.accepted]
    for exchange in refused_pages:
        yield from was_accepted(exchange, requirement=requirement)
    if refused_pages:
        return
    expected, got = _shown(records), _shown(listed(exchanges))
    if expected != got:
        yield Finding(
            requirement=requirement,
            message=message,
            expected=", ".join(expected) or "no record",
            got=", ".join(got) or "no record",
            exchange=name,
        )


def unchanged(seen: Transcript, before: str, after: str, *, requirement: str) -> Iterator[Finding]:
    """Yields that two listings do not hold the same records in the same order, to the byte."""
    first, second = ([*pages(seen, name)] for name in (before, after))
    for exchange in (*first, *second):
        if not exchange.accepted:
            yield from was_accepted(exchange, requirement=requirement)
            return
    expected, got = ([one.SerializeToString(deterministic=True) for one in listed(some)] for some in (first, second))
    if expected != got:
        yield Finding(
            requirement=requirement,
            message="what was refused left something behind",
            expected=", ".join(_shown(listed(first))) or "no record",
            got=", ".join(_shown(listed(second))) or "no record",
            exchange=after,
        )


def _shown(records: Iterable[registry_pb2.Record]) -> list[str]:
    """Returns type and digest of each record, and the digest of its card, sorted."""
    return sorted(map(_shown_one, records))


def _shown_one(record: registry_pb2.Record) -> str:
    kind = record.object.payload_type.rpartition(".")[2]
    beside = f" beside {envelopes.envelope_digest(record.card).hex()}" if record.HasField("card") else ""
    return f"{kind} {envelopes.envelope_digest(record.object).hex()}{beside}"
