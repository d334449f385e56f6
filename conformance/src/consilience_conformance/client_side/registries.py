"""Registries that a client meets: nodes that serve whatever they are told to, and keep nothing that they are handed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import grpc

from consilience.v1 import node_pb2, registry_pb2, review_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.client_side.nodes import Node
from consilience_conformance.peers.hostile import StatusError
from consilience_conformance.registry_methods import FIND_NODES, GET_RECORD, LIST_RECORDS, PUBLISH

_TYPES = {
    "consilience.v1.NodeCard": review_pb2.RECORD_TYPE_NODE_CARD,
    "consilience.v1.KeySuccession": review_pb2.RECORD_TYPE_KEY_SUCCESSION,
    "consilience.v1.Review": review_pb2.RECORD_TYPE_REVIEW,
    "consilience.v1.Retraction": review_pb2.RECORD_TYPE_RETRACTION,
    "consilience.v1.Rebuttal": review_pb2.RECORD_TYPE_REBUTTAL,
    "consilience.v1.Advisory": review_pb2.RECORD_TYPE_ADVISORY,
}


@dataclass(slots=True, kw_only=True)
class Registry(Node):
    """A registry of one subject: it has one answer to whoever asks about anybody.

    Attributes:
        records: What it serves where records are listed, and by their digests.
        cards: What it serves where nodes are looked for.
    """

    records: list[registry_pb2.Record] = field(default_factory=list)
    cards: list[SignedEnvelope] = field(default_factory=list)

    def registering(self, card: node_pb2.NodeCard) -> node_pb2.NodeCard:
        """Returns the card of a node that is a registry as well."""
        card.profiles.append(node_pb2.PROFILE_REGISTRY)
        return card

    async def respond(self, method: str, request: bytes) -> AsyncIterator[bytes]:
        """Answers a call."""
        if method == FIND_NODES:
            yield registry_pb2.FindNodesResponse(cards=self.cards).SerializeToString()
        elif method == LIST_RECORDS:
            wanted = registry_pb2.ListRecordsRequest.FromString(request).types
            listed = [one for one in self.records if not wanted or _type_of(one) in wanted]
            yield registry_pb2.ListRecordsResponse(records=listed).SerializeToString()
        elif method == GET_RECORD:
            digest = registry_pb2.GetRecordRequest.FromString(request).digest
            yield registry_pb2.GetRecordResponse(record=self._record(digest)).SerializeToString()
        elif method == PUBLISH:
            record = registry_pb2.PublishRecordRequest.FromString(request).record
            outcome = registry_pb2.PUBLISH_OUTCOME_STORED
            if record in self.records or record.object in self.cards:
                outcome = registry_pb2.PUBLISH_OUTCOME_KNOWN
            yield registry_pb2.PublishRecordResponse(outcome=outcome).SerializeToString()
        else:
            async for data in Node.respond(self, method, request):
                yield data

    def _record(self, digest: bytes) -> registry_pb2.Record:
        for record in (*self.records, *(registry_pb2.Record(object=card) for card in self.cards)):
            if envelopes.envelope_digest(record.object) == digest:
                return record
        raise StatusError(grpc.StatusCode.NOT_FOUND, "there is no such record")


def _type_of(record: registry_pb2.Record) -> review_pb2.RecordType.ValueType:
    return _TYPES.get(record.object.payload_type, review_pb2.RECORD_TYPE_REVIEW)
