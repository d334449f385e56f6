"""Peers: what a node sends is held to the specification, and every breach carries its requirement id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from consilience.errors import (
    EnvelopeMalformedError,
    FieldInvalidError,
    PayloadTypeWrongError,
    ProtocolError,
    RefusedError,
    SignatureInvalidError,
    SignatureMissingError,
    SignerWrongError,
)

REQUIREMENTS: dict[type[RefusedError], str] = {
    PayloadTypeWrongError: "SIG-ENV-004",
    EnvelopeMalformedError: "SIG-ENV-002",
    SignatureMissingError: "SIG-ENV-003",
    SignatureInvalidError: "SIG-ENV-001",
    SignerWrongError: "SIG-ENV-005",
    FieldInvalidError: "ERR-FLD-001",
}
"""The requirement that a peer breaks by sending what this side would refuse for the same reason."""


def breach(error: RefusedError) -> ProtocolError:
    """Returns what it means that an object of the peer's would have to be refused."""
    return ProtocolError(f"the node sent what cannot be accepted: {error}", requirement=REQUIREMENTS[type(error)])


@contextmanager
def held_to_protocol() -> Iterator[None]:
    """Reads what a peer sent; what would have to be refused is a breach.

    Raises:
        ProtocolError: From the refusal.
    """
    try:
        yield
    except RefusedError as error:
        raise breach(error) from error
