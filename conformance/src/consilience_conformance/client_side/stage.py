"""The stage of a check of clients: nodes are made, the client is sent to them, and the transcript is written."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from random import Random
from time import monotonic
from typing import TypedDict, TypeVar, Unpack

from consilience.v1 import tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes, node_ids
from consilience_conformance.client_side.adapters import Adapter
from consilience_conformance.client_side.dealings import Dealing
from consilience_conformance.client_side.nodes import SKILL, Identity, Manner, Node
from consilience_conformance.client_side.payees import ASSET, Payee
from consilience_conformance.client_side.registries import Registry
from consilience_conformance.needs import UntestableError
from consilience_conformance.peers.certificates import Certificate
from consilience_conformance.peers.hostile import HostileServer
from consilience_conformance.transcripts import Exchange, JsonValue, Transcript

PATIENCE_SECONDS = 20.0
"""How long the user of the client waits for an answer, unless a check says otherwise."""

NodeT = TypeVar("NodeT", bound=Node)


class PayeeFields(TypedDict, total=False):
    """What a check says of a payee."""

    backing: tariff_pb2.Backing.ValueType
    tariff: tariff_pb2.Tariff
    dealing: Dealing


class ClientStage:
    """What a driver acts with.

    Attributes:
        random: Decides what is left open, the same for the same seed; keys are fresh in every run.
        transcript: What has come of it so far.
    """

    def __init__(self, adapter: Adapter, *, random: Random, transcript: Transcript) -> None:
        self.random = random
        self.transcript = transcript
        self._adapter = adapter
        self._origin = monotonic()
        self._servers: list[HostileServer] = []
        self._during = "before"
        self._calls = 0
        self._ended = asyncio.Event()
        self._replies: dict[str, JsonValue] = {}
        self._texts: dict[str, JsonValue] = {}
        self._questions: dict[str, JsonValue] = {}
        self._cards: dict[str, JsonValue] = {}
        self._right: dict[str, JsonValue] = {}
        self._asked: dict[str, int] = {}
        transcript.notes.update(
            {
                "replies": self._replies,
                "texts": self._texts,
                "questions": self._questions,
                "cards": self._cards,
                "right": self._right,
            }
        )

    def note(self, name: str, value: JsonValue) -> None:
        """Writes down what is no call and no reply."""
        self.transcript.notes[name] = value

    async def node(
        self, identity: Identity | None = None, *, certificate: Certificate | None = None, port: int = 0
    ) -> Node:
        """Starts a node that does everything right, and shows a card.

        Args:
            identity: Who it is; None: somebody new.
            certificate: What it shows where it speaks TLS; its card pins that one.
            port: Where it listens; 0: anywhere.
        """
        node = await self._started(
            lambda server: Node(identity=identity or Identity.new(), server=server, text=self._new_text()),
            certificate=certificate,
            port=port,
        )
        node.show(node.identity.card(node.pinned_endpoint(certificate.pin) if certificate else node.plain_endpoint()))
        return node

    async def payee(self, **fields: Unpack[PayeeFields]) -> Payee:
        """Starts a node that sells the same text as others give away; fields as `Payee`."""
        payee = await self._started(
            lambda server: Payee(identity=Identity.new(), server=server, text=self._new_text(), **fields)
        )
        payee.show(payee.priced(payee.identity.card(payee.plain_endpoint())))
        return payee

    async def registry(self) -> Registry:
        """Starts a registry, which serves nothing yet."""
        registry = await self._started(
            lambda server: Registry(identity=Identity.new(), server=server, text=self._new_text())
        )
        registry.show(registry.registering(registry.identity.card(registry.plain_endpoint())))
        return registry

    async def _started(
        self, make: Callable[[HostileServer], NodeT], *, certificate: Certificate | None = None, port: int = 0
    ) -> NodeT:
        server = HostileServer(
            # The node is made once it is known where it listens.
            lambda method, request: node.respond(method, request),  # noqa: PLW0108
            name=self._name,
            record=self._record,
            origin=self._origin,
            credentials=certificate.credentials if certificate else None,
        )
        node = make(server)
        await server.start(port=port)
        self._servers.append(server)
        return node

    def _new_text(self) -> str:
        return f"12 inches make 1 foot ({self.random.randrange(10**12)})."

    async def open(
        self, *, trusted: tuple[str, ...] = (), per_ask: int = 0, registries: Sequence[Registry] = ()
    ) -> None:
        """Has the adapter make a client anew, in place of the one that it has.

        Args:
            trusted: Its list of trusted nodes.
            per_ask: What its user lets each ask cost, in units of the asset of payees; 0: nothing.
            registries: Where it looks for nodes, and publishes reviews.
        """
        more: dict[str, JsonValue] = {"budget": {"asset": ASSET, "perAsk": per_ask}} if per_ask else {}
        if registries:
            more["registries"] = [registry.address for registry in registries]
        reply = await self._adapter.tell("open", trusted=list(trusted), **more)
        if reply != {"done": True}:
            raise UntestableError(f"the adapter does not open a client: {reply}")

    async def ask(
        self,
        name: str,
        node: Node,
        *,
        manner: Manner | None = None,
        address: str = "",
        data_class: str = "PUBLIC",
        seconds: float = PATIENCE_SECONDS,
        give_up: bool = False,
        question: str = "",
    ) -> dict[str, JsonValue]:
        """Sends the client to a node with a question, and writes down what its user gets.

        Args:
            name: What the check calls it, unique in the transcript; the calls that come meanwhile are named by it.
            node: Answers.
            manner: How; None: as the node does.
            address: Under which it is named; empty: with its node id.
            data_class: What the user says, or empty: nothing.
            seconds: How long the user waits.
            give_up: The user leaves once the first text is there.
            question: Empty: one that nobody has asked before.
        """
        self._during = name
        if manner is not None:
            node.manner = manner
        question = question or f"How many feet are 12 inches? ({self.random.randrange(10**12)})"
        self._texts[name], self._questions[name] = node.text, question
        self._cards[name] = node.card.SerializeToString().hex()
        fields: dict[str, JsonValue] = {"dataClass": data_class} if data_class else {}
        reply = await self._adapter.tell(
            "giveUp" if give_up else "ask",
            address=address or node.address,
            question=question,
            skill=SKILL,
            seconds=seconds,
            **fields,
        )
        self._asked[name] = self._adapter.told
        self._replies[name] = reply
        return reply

    async def find(
        self, name: str, *, right: Iterable[SignedEnvelope], near: str = "", data_class: str = "PUBLIC"
    ) -> None:
        """Has the client look for nodes with the skill of all nodes, and writes down which cards its user gets.

        Args:
            name: As in `ask`.
            right: The cards that hold.
            near: The question that the user has in mind; empty: none.
            data_class: Of that question.
        """
        more: dict[str, JsonValue] = {"near": near} if near else {}
        await self._read(name, "find", right=right, skill=SKILL, dataClass=data_class, **more)

    async def about(self, name: str, node_id: bytes, *, right: Iterable[SignedEnvelope]) -> None:
        """Has the client read what is said of a node, and writes down which records its user gets.

        Args:
            name: As in `ask`.
            node_id: Of whom, 32 bytes.
            right: The reviews and advisories that count.
        """
        await self._read(name, "about", right=right, node=node_ids.text_of(node_id))

    async def read(self, name: str, record: SignedEnvelope, *, right: bool) -> None:
        """Has the client read a record by its digest, and writes down whether its user gets it; names as in `ask`."""
        digest = envelopes.envelope_digest(record).hex()
        await self._read(name, "read", right=[record] if right else [], record=digest)

    async def review(self, name: str, *, asked: str) -> None:
        """Has the client publish a review of what it was answered to an earlier question; names as in `ask`."""
        self._during = name
        self._replies[name] = await self._adapter.tell("review", of=self._asked[asked], verdict="CORRECT")

    async def withdraw(
        self, name: str, payee: Payee, *, amount: int, seconds: float = PATIENCE_SECONDS
    ) -> dict[str, JsonValue]:
        """Has the client get money back from a payee, and writes down what its user is told.

        Args:
            name: As in `ask`.
            payee: Where it lies.
            amount: In units of the asset.
            seconds: How long the user waits.
        """
        return await self._settle(name, "withdraw", address=payee.address, amount=amount, seconds=seconds)

    async def account(self, name: str, payee: Payee, *, spent: int, refunded: int) -> None:
        """Has the client tell what a payee has charged and given back, and writes that down.

        Args:
            name: As in `ask`.
            payee: Where asks were paid for.
            spent: All that is charged by receipts that are right.
            refunded: All that is given back by them.
        """
        self._right[name] = {"spent": spent, "refunded": refunded}
        await self._settle(name, "account", address=payee.address)

    async def _settle(self, name: str, instruction: str, **wanted: JsonValue) -> dict[str, JsonValue]:
        self._during = name
        reply = self._replies[name] = await self._adapter.tell(instruction, **wanted)
        if "unsupported" in reply:
            raise UntestableError(f"the adapter does not know the instruction {instruction}")
        return reply

    async def _read(self, name: str, instruction: str, *, right: Iterable[SignedEnvelope], **wanted: JsonValue) -> None:
        self._during = name
        self._right[name] = [envelopes.envelope_digest(one).hex() for one in right]
        self._replies[name] = await self._adapter.tell(instruction, **wanted)

    async def until(self, seen: Callable[[], bool], *, seconds: float) -> None:
        """Waits until the calls that have ended are what a check waits for, and not longer than it may."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not seen():
                    self._ended.clear()
                    await self._ended.wait()

    @property
    def errors(self) -> str:
        """The end of what the adapter wrote to standard error."""
        return self._adapter.stderr

    async def close(self) -> None:
        """Ends all nodes; calls that go on are written down as cut."""
        for server in self._servers:
            await server.stop()

    def _record(self, exchange: Exchange) -> None:
        self.transcript.exchanges.append(exchange)
        self._ended.set()

    def _name(self) -> str:
        self._calls += 1
        return f"{self._during}/{self._calls}"
