"""Refusals of nodes that the judge plays: as the catalogue wants them, with what goes with their reason."""

from __future__ import annotations

import grpc
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from consilience_conformance.peers.hostile import StatusError
from consilience_conformance.rules.refusals import DOMAIN, catalogue
from consilience_conformance.streams import DETAILS_TRAILER


def refusal(reason: str, *details: Message) -> StatusError:
    """Returns what ends a call for a reason of the catalogue, with its code and these details."""
    code = catalogue()[reason].code
    status = status_pb2.Status(code=code_pb2.Code.Value(code), message=reason)
    for part in (error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN), *details):
        status.details.add().Pack(part)
    return StatusError(grpc.StatusCode[code], reason, trailers=((DETAILS_TRAILER, status.SerializeToString()),))
