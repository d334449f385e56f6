"""No judge fails at what a node may say: times beyond all calendars, unknown numbers, bytes that are nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import status_pb2

from conformance.tests.judged_nodes import talking_node, write_grant
from consilience.identity import KeyPair
from consilience.testing.nodes import serving_in_thread
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.cases import all_checks
from consilience_conformance.checks import Check
from consilience_conformance.planning import Order, prepare
from consilience_conformance.transcripts import Exchange, Response, Transcript
from consilience_conformance.trial import Trial

FAR = (2**63 - 1, -(2**63))
Spoil = Callable[[Exchange], Exchange]


@pytest.fixture(scope="module")
def transcripts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Transcript]:
    """Returns what a good node said in each check."""
    key = KeyPair.generate()
    records = tmp_path_factory.mktemp("records")
    with serving_in_thread(talking_node(key=key, conformance=True, records=records)) as running:
        tester_key, grant = write_grant(tmp_path_factory.mktemp("grant"), key=key)
        return asyncio.run(_run(Order(address=running.address, tester_key=tester_key, grant=grant, seed=1)))


async def _run(order: Order) -> dict[str, Transcript]:
    run = await Trial(await prepare(order)).run()
    return {
        result.check: result.transcript
        for result in run.results
        if result.transcript is not None and result.verdict.value == "pass"
    }


def out_of_range(message: Message, *, seconds: int) -> None:
    """Sets all times and numbers of enums of a message, and of what it carries, to what there is not."""
    if isinstance(message, Timestamp | Duration):
        message.seconds = seconds
        return
    for field, value in list(message.ListFields()):
        if field.enum_type is not None:
            _set(message, field, 99)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for one in value if field.is_repeated else (value,):
                out_of_range(one, seconds=seconds)
    if isinstance(message, SignedEnvelope):
        message.payload = respoken(message.payload, kind=message.payload_type, seconds=seconds)


def _set(message: Message, field: FieldDescriptor, number: int) -> None:
    if field.is_repeated:
        getattr(message, field.name)[:] = [number] * len(getattr(message, field.name))
    else:
        setattr(message, field.name, number)


def respoken(data: bytes, *, kind: str, seconds: int) -> bytes:
    try:
        message = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(kind)).FromString(
            data
        )
    except (DecodeError, KeyError):
        return data
    out_of_range(message, seconds=seconds)
    return message.SerializeToString()


def with_far_times(seconds: int) -> Spoil:
    def spoil(exchange: Exchange) -> Exchange:
        service, _, method = exchange.method.rpartition("/")
        try:
            kind = descriptor_pool.Default().FindServiceByName(service).methods_by_name[method].output_type.full_name
        except KeyError:
            return exchange
        responses = tuple(
            Response(at=one.at, data=respoken(one.data, kind=kind, seconds=seconds)) for one in exchange.responses
        )
        status = status_pb2.Status.FromString(exchange.details)
        status.code = 99 if exchange.details else 0
        for detail in status.details:
            detail.value = respoken(detail.value, kind=detail.TypeName(), seconds=seconds)
        return replace(exchange, responses=responses, details=status.SerializeToString())

    return spoil


def with_broken_details(exchange: Exchange) -> Exchange:
    status = status_pb2.Status.FromString(exchange.details)
    for detail in status.details:
        detail.value = b"\xff\xff\xff"
    return replace(exchange, details=status.SerializeToString())


def with_changed_bytes(seed: int) -> Spoil:
    chance = Random(seed)  # noqa: S311 - the same bytes in every run

    def changed(data: bytes) -> bytes:
        if not data:
            return data
        place = chance.randrange(len(data))
        return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]

    def spoil(exchange: Exchange) -> Exchange:
        responses = tuple(Response(at=one.at, data=changed(one.data)) for one in exchange.responses)
        return replace(exchange, responses=responses, details=changed(exchange.details))

    return spoil


def empty(exchange: Exchange) -> Exchange:
    return replace(exchange, responses=tuple(Response(at=one.at, data=b"") for one in exchange.responses))


def without_anything(exchange: Exchange) -> Exchange:
    return replace(exchange, responses=(), details=b"")


SPOILS: tuple[Spoil, ...] = (
    with_broken_details,
    empty,
    without_anything,
    *map(with_far_times, FAR),
    *map(with_changed_bytes, range(8)),
)


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.name)
def test_a_judge_bears_all_that_a_node_may_say(check: Check, transcripts: dict[str, Transcript]) -> None:
    if check.name not in transcripts:
        return  # the node at hand has no such thing
    seen = transcripts[check.name]
    for spoil in SPOILS:
        spoilt = replace(seen, exchanges=[spoil(exchange) for exchange in seen.exchanges])
        assert all(finding.requirement for finding in check.judge(spoilt))


def test_nearly_all_checks_were_looked_at(transcripts: dict[str, Transcript]) -> None:
    assert len(transcripts) > len(all_checks()) // 2
