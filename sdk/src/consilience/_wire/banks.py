"""BankService on the wire: what a node says to the bank that a tester plays, and what it hears (spec section 7.3)."""

from __future__ import annotations

from consilience._wire import convert
from consilience._wire.services import parse
from consilience.conformance import BankTransfer, StartTransferRequest
from consilience.errors import EnvelopeMalformedError
from consilience.v1 import conformance_pb2

_SERVICE = conformance_pb2.DESCRIPTOR.services_by_name["BankService"].full_name
START_TRANSFER_METHOD = f"{_SERVICE}/StartTransfer"
GET_TRANSFER_METHOD = f"{_SERVICE}/GetTransfer"


def encode_start(request: StartTransferRequest) -> bytes:
    """Returns the encoded StartTransferRequest."""
    encoded: bytes = convert.to_message(request).SerializeToString()
    return encoded


def encode_look(name: bytes) -> bytes:
    """Returns the encoded GetTransferRequest for a transfer, by its name."""
    return conformance_pb2.GetTransferRequest(name=name).SerializeToString()


def decode_transfer(encoded: bytes) -> BankTransfer:
    """Returns what the bank says, in the response of either method: the transfer is field 1 of both.

    Raises:
        EnvelopeMalformedError: The bytes are no response, or it says nothing.
    """
    response = parse(encoded, conformance_pb2.GetTransferResponse)
    if not response.HasField("transfer"):
        raise EnvelopeMalformedError("the response says nothing of the transfer")
    return convert.from_message(response.transfer, BankTransfer)
