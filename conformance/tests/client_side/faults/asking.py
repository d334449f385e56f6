"""Faults in what is sent."""

import asyncio
import dataclasses
import hashlib
import sys
from datetime import timedelta
from typing import Any

from conformance.tests.client_side.faults.registry import fault, replace
from consilience import envelopes
from consilience.asks import Ask
from consilience.client import Client, questions
from consilience.client.caller import Caller
from consilience.client.readers import LogReader
from consilience.client.routes import Route
from consilience.errors import ConnectionLostError
from consilience.nodes import DataClass


@fault("signs-something-else")
def _signs_something_else() -> None:
    replace(
        envelopes,
        "seal",
        lambda seal: lambda payload, **more: dataclasses.replace(seal(payload + b"!", **more), payload=payload),
    )


def _asks(name: str, **changes: Any) -> None:
    """Registers the fault of a client that signs another ask than its user wants."""

    def apply() -> None:
        def make(seal: Any) -> Any:
            def changed(value: Any, **more: Any) -> Any:
                return seal(dataclasses.replace(value, **changes) if isinstance(value, Ask) else value, **more)

            return changed

        replace(questions, "seal", make)

    fault(name)(apply)


_asks("makes-everything-public", data_class=DataClass.PUBLIC)
_asks("names-no-skill", skill_id="")


@fault("names-another-caller")
def _names_another_caller() -> None:
    replace(
        questions, "new_header", lambda make: lambda **fields: dataclasses.replace(make(**fields), caller=bytes(32))
    )


@fault("signs-for-an-hour")
def _signs_for_an_hour() -> None:
    def make(header: Any) -> Any:
        def longer(**fields: Any) -> Any:
            made = header(**fields)
            return dataclasses.replace(made, expire_time=made.issue_time + timedelta(hours=1))

        return longer

    replace(questions, "new_header", make)


@fault("digests-the-signature-too")
def _digests_the_signature_too() -> None:
    def make(begin: Any) -> Any:
        def digesting(self: Route, card: Any, **more: Any) -> None:
            begin(self, card, **more)
            self.card_digest = hashlib.sha256(  # type: ignore[assignment]
                envelopes.pre_authentication_encoding(card.envelope.payload_type, card.envelope.payload)
                + card.envelope.signature
            ).digest()

        return digesting

    replace(Route, "__init__", make)


@fault("needs-no-class")
def _needs_no_class() -> None:
    def make_check(check: Any) -> Any:
        return lambda data_class, **more: check(data_class or DataClass.PUBLIC, **more)

    def make_client(begin: Any) -> Any:
        def classless(self: Client, *arguments: Any, **more: Any) -> None:
            begin(self, *arguments, **{"data_class": DataClass.UNSPECIFIED, **more})

        return classless

    replace(questions, "check_data_class", make_check)
    replace(Client, "__init__", make_client)


@fault("overlooks-what-a-card-reads")
def _overlooks_what_a_card_reads() -> None:
    replace(questions, "effective_data_class", lambda _: lambda *_: DataClass.RESTRICTED)


@fault("trusts-every-node")
def _trusts_every_node() -> None:
    def make(check: Any) -> Any:
        def trusting(data_class: DataClass, *, card: Any, skill: Any, trusted_nodes: Any) -> None:
            del trusted_nodes
            check(data_class, card=card, skill=skill, trusted_nodes={card.node_id})

        return trusting

    replace(questions, "check_data_class", make)


@fault("signs-each-attempt-anew")
def _signs_each_attempt_anew() -> None:
    def make(reconnect: Any) -> Any:
        async def anew(self: LogReader, failure: Any) -> None:
            await reconnect(self, failure)
            self._opening.ask = None

        return anew

    replace(LogReader, "_reconnect", make)


@fault("never-resumes-with-its-key")
def _never_resumes_with_its_key() -> None:
    def make(resume: Any) -> Any:
        def unsigned(*arguments: Any, **more: Any) -> bytes:
            request: bytes = resume(*arguments, **more)
            return request[:-1] + bytes([request[-1] ^ 1])

        return unsigned

    replace(Caller, "resume_request", make)


@fault("leaves-without-a-word")
def _leaves_without_a_word() -> None:
    async def nothing() -> None:
        """Tells nobody."""

    replace(Caller, "abandon", lambda _: lambda *_, **__: asyncio.ensure_future(nothing()))


@fault("logs-questions")
def _logs_questions() -> None:
    def make(ask: Any) -> Any:
        async def logging(self: Client, question: str, **more: Any) -> Any:
            sys.stderr.write(f"asking {question}\n")
            sys.stderr.flush()
            return await ask(self, question, **more)

        return logging

    replace(Client, "ask", make)


@fault("rejects-everything")
def _rejects_everything() -> None:
    def make(ask: Any) -> Any:
        async def rejecting(*arguments: Any, **more: Any) -> Any:
            await ask(*arguments, **more)
            raise ConnectionLostError("no answer is good enough")

        return rejecting

    replace(Client, "ask", make)
