"""The stage: what the driver of a check acts with. It asks, resumes, gets and cancels, and writes everything down.

Example::

    async def drive(stage: Stage) -> None:
        ask = stage.ask()
        await stage.send("ask", ask)
        await stage.get("stranger", ask, caller=stage.stranger())
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from time import monotonic
from typing import TYPE_CHECKING

from google.protobuf.message import Message

from consilience.v1 import ask_pb2, conformance_pb2, node_pb2
from consilience.v1.envelope_pb2 import CallHeader, SignedEnvelope
from consilience_conformance.ask_methods import ASK, CANCEL, GET, RESUME
from consilience_conformance.callers import Caller
from consilience_conformance.departures import close_sessions, stop_asks
from consilience_conformance.silence import Silence
from consilience_conformance.streams import Seen, Stream
from consilience_conformance.subjects import Subject
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.targets import Target
from consilience_conformance.transcripts import Exchange, JsonValue, Transcript
from consilience_conformance.wire_values import timestamp

if TYPE_CHECKING:
    from consilience_conformance.tabs import Tabs

SCRIPT_MEDIA_TYPE = "application/vnd.consilience.script"

HEADER_LIFETIME = timedelta(minutes=2)
LONGEST_RUN_SECONDS = 600
"""How long a stream may go on at most, whatever the card allows."""
SHORT_ANSWER_TOKENS = 16
"""Asked of a skill that counts tokens, so that a run costs little."""

LOOK_SECONDS = 0.02
"""Between two looks at a node, where no event tells what is waited for."""

PATIENCE_BUDGETS = 2
LEAST_BUDGET_SECONDS = 0.5
"""A check that has borne `PATIENCE_BUDGETS` of silence gives up each further call after this."""


class Stage:
    """A node, callers, and a transcript to act into.

    Attributes:
        target: The node, with the card that asks rely on.
        subject: What is asked.
        callers: The keys that this check has, one at least; with a script they are those of the grant.
        random: Decides what is left open, the same for the same seed; keys and ids are fresh in every run.
        transcript: What has come of it so far.
        surroundings: What the operator lends.
        issuer: The tester, as one whose holds the node takes in escrow; None: it takes none of him.
        tabs: On which asks are put; None: they cost nothing, or the check pays for them itself.
    """

    def __init__(
        self,
        *,
        target: Target,
        subject: Subject,
        callers: Sequence[Caller],
        grant: SignedEnvelope | None,
        random: Random,
        budget: float,
        transcript: Transcript,
        surroundings: Surroundings,
        silence: Silence | None = None,
        issuer: Caller | None = None,
    ) -> None:
        """Sets a stage.

        Args:
            target: As the attribute.
            subject: As the attribute.
            callers: As the attribute.
            grant: What scripts are sent with, or None.
            random: As the attribute.
            budget: Seconds of silence after which a call is given up.
            transcript: As the attribute.
            surroundings: As the attribute.
            silence: Of the run, which hears of what this check bears.
            issuer: As the attribute.
        """
        self.issuer = issuer
        self.tabs: Tabs | None = None
        self.surroundings = surroundings
        self.target = target
        self.subject = subject
        self.callers = tuple(callers)
        self.random = random
        self.transcript = transcript
        self._grant = grant
        self._budget = budget
        self._silence = Silence(within=silence)
        self._strangers: list[Caller] = []
        self._origin = monotonic()
        self._channel = target.transport.channel()
        self._streams: list[Stream] = []
        self._elsewhere: list[Stage] = []
        transcript.card = transcript.card or target.envelope.SerializeToString(deterministic=True)

    @property
    def caller(self) -> Caller:
        """The key under which this check asks."""
        return self.callers[0]

    @property
    def budget(self) -> float:
        """Seconds of silence after which a call is given up; few, where the check has borne much silence already."""
        patience = PATIENCE_BUDGETS * self._budget - self._silence.seconds
        return max(LEAST_BUDGET_SECONDS, min(self._budget, patience))

    def stranger(self) -> Caller:
        """Returns a caller whom the node has never met, and who has no grant."""
        caller = Caller.new()
        self._strangers.append(caller)
        return caller

    def note(self, name: str, value: JsonValue) -> None:
        """Writes down an observation that is no call."""
        self.transcript.notes[name] = value

    def header(
        self, method: str, *, caller: Caller | None = None, age: timedelta = timedelta(0), **changes: object
    ) -> CallHeader:
        """Returns a header that a node accepts, but for the changes.

        Args:
            method: The method that it is for.
            caller: Whose it is; None: this check's.
            age: How long ago it was issued.
            changes: Fields that are to be otherwise.
        """
        issued = datetime.now(UTC) - age
        fields: dict[str, object] = {
            "method": method,
            "audience": self.target.node_id,
            "caller": (caller or self.caller).key,
            "request_id": secrets.token_bytes(16),
            "issue_time": timestamp(issued),
            "expire_time": timestamp(issued + HEADER_LIFETIME),
        }
        return CallHeader(**{**fields, **changes})  # type: ignore[arg-type]

    def ask(
        self,
        *steps: conformance_pb2.ScriptStep,
        caller: Caller | None = None,
        header: CallHeader | None = None,
        **changes: object,
    ) -> ask_pb2.Ask:
        """Returns an ask that a node accepts, but for the changes.

        Args:
            steps: What a scripted answer does; one short text where there are none. Only in scripted checks.
            caller: Who asks; None: this check's.
            header: Instead of a fresh one.
            changes: Fields of the ask that are to be otherwise.
        """
        if steps and not self.subject.scripted:
            raise ValueError("a check that writes the answer needs Needs.SCRIPT")
        fields: dict[str, object] = {
            "header": header or self.header(ASK, caller=caller),
            "skill_id": self.subject.skill.id,
            "card_digest": self.target.card_digest,
            "turns": [ask_pb2.Turn(role=ask_pb2.ROLE_ASKER, parts=[self._part(steps)])],
            "data_class": node_pb2.DATA_CLASS_PUBLIC,
        }
        if self.tabs is not None:
            fields["payment"] = self.tabs.payment(header.caller if header else (caller or self.caller).key)
        if not self.subject.scripted and self.limit("max_output_tokens"):
            tokens = min(SHORT_ANSWER_TOKENS, self.limit("max_output_tokens"))
            fields["limits"] = ask_pb2.AskLimits(max_output_tokens=tokens)
        return ask_pb2.Ask(**{**fields, **changes})  # type: ignore[arg-type]

    def limit(self, name: str) -> int:
        """Returns a limit as it holds for the subject: the skill's where it states one, else the card's; 0: none."""
        return int(getattr(self.subject.skill.limits, name) or getattr(self.target.card.limits, name))

    def _part(self, steps: Sequence[conformance_pb2.ScriptStep]) -> ask_pb2.Part:
        if not self.subject.scripted:
            return ask_pb2.Part(text=f"{self.subject.question} ({self.random.randrange(10**6)})")
        script = conformance_pb2.ConformanceScript(grant=self._grant, steps=steps or [token("a scripted answer")])
        data = script.SerializeToString(deterministic=True)
        return ask_pb2.Part(blob=ask_pb2.Blob(media_type=SCRIPT_MEDIA_TYPE, data=data))

    def seal(self, message: Message, *, caller: Caller | None = None) -> SignedEnvelope:
        """Signs a message."""
        return (caller or self.caller).seal(message)

    def open(
        self,
        name: str,
        method: str,
        request: bytes | Message,
        *,
        abridged: bool = False,
        into: Transcript | None = None,
    ) -> Stream:
        """Begins a call; it is cut at the end of the check, where it still goes on.

        Args:
            name: Of the exchange.
            method: Full name without leading slash.
            request: The message, or as many bytes.
            abridged: Whether the judge does without the end of a large request.
            into: Where it is written down, if not in the transcript of the check.
        """
        data = request if isinstance(request, bytes) else request.SerializeToString(deterministic=True)
        data = self.with_payment(data) if method == ASK else data
        stream = Stream(
            self._channel,
            name=name,
            method=method,
            request=data,
            transcript=into or self.transcript,
            origin=self._origin,
            longest=self._budget + min(self.target.card.limits.max_run_time.ToSeconds(), LONGEST_RUN_SECONDS),
            silence=self._silence,
            abridged=abridged,
        )
        self._streams.append(stream)
        return stream

    def with_payment(self, request: bytes) -> bytes:
        """Returns an encoded AskRequest with what pays for its ask, where that is on a tab."""
        return request if self.tabs is None else self.tabs.beside(request)

    async def call(
        self,
        name: str,
        method: str,
        request: bytes | Message,
        *,
        until: Seen | None = None,
        abridged: bool = False,
    ) -> Exchange:
        """Makes a call and reads to its end, or until something was seen, whereupon it is cut.

        With `abridged` the transcript keeps no more than the beginning of a large request.
        """
        stream = self.open(name, method, request, abridged=abridged)
        await stream.until(until, budget=self.budget)
        stream.cut()
        return self.transcript[name]

    def open_ask(self, name: str, ask: ask_pb2.Ask | SignedEnvelope, *, caller: Caller | None = None) -> Stream:
        """Begins to read the answer to an ask."""
        envelope = ask if isinstance(ask, SignedEnvelope) else self.seal(ask, caller=caller)
        return self.open(name, ASK, ask_pb2.AskRequest(ask=envelope))

    async def send(
        self,
        name: str,
        ask: ask_pb2.Ask | SignedEnvelope,
        *,
        caller: Caller | None = None,
        until: Seen | None = None,
        abridged: bool = False,
    ) -> Exchange:
        """Asks and reads the answer to its end, or until something was seen."""
        envelope = ask if isinstance(ask, SignedEnvelope) else self.seal(ask, caller=caller)
        return await self.call(name, ASK, ask_pb2.AskRequest(ask=envelope), until=until, abridged=abridged)

    async def resume(
        self,
        name: str,
        ask: ask_pb2.Ask | bytes,
        *,
        after: int = 0,
        caller: Caller | None = None,
        until: Seen | None = None,
    ) -> Exchange:
        """Reads an answer from behind a sequence; `ask` is the ask, or its request id."""
        call = ask_pb2.ResumeAnswerCall(
            header=self.header(RESUME, caller=caller), ask_request_id=_request_id(ask), after_sequence=after
        )
        request = ask_pb2.ResumeAnswerRequest(call=self.seal(call, caller=caller))
        return await self.call(name, RESUME, request, until=until)

    async def get(self, name: str, ask: ask_pb2.Ask | bytes, *, caller: Caller | None = None) -> Exchange:
        """Reads what there is of an answer."""
        call = ask_pb2.GetAnswerCall(header=self.header(GET, caller=caller), ask_request_id=_request_id(ask))
        return await self.call(name, GET, ask_pb2.GetAnswerRequest(call=self.seal(call, caller=caller)))

    async def cancel(self, name: str, ask: ask_pb2.Ask | bytes, *, caller: Caller | None = None) -> Exchange:
        """Stops the work on an answer."""
        call = ask_pb2.CancelAnswerCall(header=self.header(CANCEL, caller=caller), ask_request_id=_request_id(ask))
        return await self.call(name, CANCEL, ask_pb2.CancelAnswerRequest(call=self.seal(call, caller=caller)))

    async def open_gate(self, name: str, gate: bytes, *, caller: Caller | None = None) -> Exchange:
        """Opens a gate, at which a scripted answer waits, by another scripted answer."""
        return await self.send(name, self.ask(conformance_pb2.ScriptStep(open=gate), caller=caller), caller=caller)

    def gate(self) -> bytes:
        """Returns the name of a gate that nobody else knows."""
        return secrets.token_bytes(16)

    async def elsewhere(self, target: Target) -> Stage:
        """Returns a stage with the same callers and the same transcript at the node restarted, or at a replica.

        Its asks rely on the card of that target, and the transcript keeps the first card. It is closed with this one.
        """
        there = Stage(
            target=target,
            subject=self.subject,
            callers=self.callers,
            grant=self._grant,
            random=self.random,
            budget=self._budget,
            transcript=self.transcript,
            surroundings=self.surroundings,
            silence=self._silence,
            issuer=self.issuer,
        )
        there._origin = self._origin
        there._strangers = self._strangers
        self._elsewhere.append(there)
        if self.tabs is not None:
            there.tabs = await self.tabs.opened_at(there)
        return there

    async def let_go(self) -> None:
        """Stops the work on every ask of this check that was not seen to its end.

        A check that asks again lets go of what it asked before, as a node need not work on two asks of a caller.
        """
        await stop_asks(self, self._streams, callers=(*self.callers, *self._strangers))

    async def close(self) -> None:
        """Lets go of all that is left, cuts what still goes on, and the connections.

        Sessions are closed at a node that has answered all else: one that was silent is asked nothing more.
        """
        try:
            for stage in self._elsewhere:
                await stage.close()
            await self.let_go()
            if not self._silence.seconds:
                await close_sessions(self, self._streams, callers=(*self.callers, *self._strangers))
        finally:
            for stream in self._streams:
                stream.cut()
            await self._channel.close()


def _request_id(ask: ask_pb2.Ask | bytes) -> bytes:
    return ask if isinstance(ask, bytes) else ask.header.request_id


def token(text: str | bytes, *, times: int = 0) -> conformance_pb2.ScriptStep:
    """Returns the step that produces text, or bytes of it."""
    data = text if isinstance(text, bytes) else text.encode()
    return conformance_pb2.ScriptStep(token=conformance_pb2.ScriptedToken(data=data, times=times))


def wait(gate: bytes) -> conformance_pb2.ScriptStep:
    """Returns the step that waits at a gate."""
    return conformance_pb2.ScriptStep(wait=gate)


def accepted(events: list[ask_pb2.AnswerEvent]) -> bool:
    """Tells whether anything of a log was read: the node took the ask."""
    return bool(events)


def text_seen(text: str) -> Seen:
    """Returns what tells whether a log brought this text, wherever its deltas begin and end."""
    return lambda events: text in "".join(event.text_delta.text for event in events)
