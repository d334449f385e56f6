"""Banks: the other side of the rail `conformance.bank` (spec section 7.3), on a socket of their own.

A bank keeps books of what has really moved. What it tells of them is up to its conduct, which may be another for each
session::

    bank = Bank(Honest())
    async with bank.serving("127.0.0.1:0") as address:
        ...                                        # a node that pays and is paid there
        bank.pay(session_id, deposit_id, amount=100)
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn, Protocol

import grpc
from grpc import aio

from consilience.v1 import conformance_pb2, conformance_pb2_grpc
from consilience.v1.conformance_pb2 import BankTransfer, StartTransferRequest
from consilience_conformance.peers.places import PlaceError

_OPTIONS = (("grpc.so_reuseport", 0),)
"""A port that another process serves is no place for a bank."""


class ConductError(Exception):
    """A bank gives an error in the place of an answer."""


@dataclass(slots=True, kw_only=True)
class Transfer:
    """A line in the books.

    Attributes:
        order: As the node gave it first.
        moved: How much has really moved, in units of the asset.
        asked: How often the node has asked about it, or for it.
    """

    order: StartTransferRequest
    moved: int = 0
    asked: int = 0

    @property
    def comes(self) -> bool:
        """Whether it is a deposit, and no payout."""
        return self.order.direction == conformance_pb2.TRANSFER_DIRECTION_DEPOSIT


class Conduct(Protocol):
    """How a bank deals with a session."""

    async def deposit(self, transfer: Transfer) -> BankTransfer:
        """Tells how a deposit stands; raises ConductError where it tells nothing."""

    async def payout(self, transfer: Transfer) -> BankTransfer:
        """Pays out what was not paid, and tells how that stands; raises ConductError where it tells nothing."""


class Bank:
    """A bank.

    Attributes:
        transfers: All that were started, by their names.
    """

    def __init__(self, conduct: Conduct) -> None:
        """Opens it, with nothing in its books; it deals as `conduct` does with whoever it is told nothing else of."""
        self.transfers: dict[bytes, Transfer] = {}
        self._conduct = conduct
        self._conducts: dict[bytes, Conduct] = {}

    @asynccontextmanager
    async def serving(self, address: str) -> AsyncIterator[str]:
        """Serves it while a block runs, and yields its `host:port`; whoever waits for an answer then gets none.

        Raises:
            PlaceError: There is no place for it.
        """
        _require_free(address)
        server = aio.server(options=_OPTIONS)
        conformance_pb2_grpc.add_BankServiceServicer_to_server(_Counter(self), server)
        try:
            port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise PlaceError(f"the bank cannot be served at {address}: {error}") from error
        await server.start()
        try:
            yield f"{address.rpartition(':')[0]}:{port}"
        finally:
            await server.stop(None)

    def deal(self, session_id: bytes, conduct: Conduct) -> None:
        """Deals with a session otherwise from now on."""
        self._conducts[session_id] = conduct

    def conduct_with(self, session_id: bytes) -> Conduct:
        """Returns how it deals with a session."""
        return self._conducts.get(session_id, self._conduct)

    def pay(self, session_id: bytes, deposit_id: bytes, *, amount: int) -> None:
        """Moves money of a payer to the node, in units of the asset.

        Raises:
            LookupError: The node has started no such deposit.
        """
        started = next((one for one in self.about(session_id, deposit_id) if one.comes), None)
        if started is None:
            raise LookupError("the node has started no such deposit at the bank")
        started.moved += amount

    def about(self, session_id: bytes, transfer_id: bytes = b"") -> tuple[Transfer, ...]:
        """Returns the transfers of a session, in the order in which they were started; of one id, where it is given."""
        return tuple(
            one
            for one in self.transfers.values()
            if one.order.session_id == session_id and transfer_id in (b"", one.order.transfer_id)
        )


def moved(transfers: Iterable[Transfer], *, comes: bool) -> int:
    """Returns how much has really moved to the node, or from it."""
    return sum(one.moved for one in transfers if one.comes is comes)


@dataclass(slots=True)
class _Counter(conformance_pb2_grpc.BankServiceServicer):
    """Serves a bank."""

    bank: Bank

    async def StartTransfer(  # noqa: N802 - the name of the method
        self, request: StartTransferRequest, context: aio.ServicerContext[object, object]
    ) -> conformance_pb2.StartTransferResponse:
        transfer = self.bank.transfers.setdefault(request.name, Transfer(order=request))
        if transfer.order != request:
            await _refuse(context, grpc.StatusCode.ALREADY_EXISTS, "the name stands for another transfer")
        return conformance_pb2.StartTransferResponse(transfer=await self._told(transfer, context))

    async def GetTransfer(  # noqa: N802 - as above
        self, request: conformance_pb2.GetTransferRequest, context: aio.ServicerContext[object, object]
    ) -> conformance_pb2.GetTransferResponse:
        transfer = self.bank.transfers.get(request.name)
        if transfer is None:
            await _refuse(context, grpc.StatusCode.NOT_FOUND, "no transfer was started under this name")
        return conformance_pb2.GetTransferResponse(transfer=await self._told(transfer, context))

    async def _told(self, transfer: Transfer, context: aio.ServicerContext[object, object]) -> BankTransfer:
        transfer.asked += 1
        conduct = self.bank.conduct_with(transfer.order.session_id)
        try:
            return await (conduct.deposit(transfer) if transfer.comes else conduct.payout(transfer))
        except ConductError as error:
            await _refuse(context, grpc.StatusCode.INTERNAL, str(error))


def _require_free(address: str) -> None:
    """Checks that nobody serves at an address, since gRPC tells so by lines of its own.

    Raises:
        PlaceError: Somebody does, or it is no address.
    """
    host, _, port = address.rpartition(":")
    try:
        with socket.socket() as probe:
            # As gRPC does: what is left of connections that ended lately is in nobody's way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, int(port)))
    except OSError as error:
        raise PlaceError(f"the bank cannot be served at {address}: {error.strerror}") from error


async def _refuse(context: aio.ServicerContext[object, object], code: grpc.StatusCode, words: str) -> NoReturn:
    await context.abort(code, words)
    raise AssertionError("a call that is aborted goes no further")
