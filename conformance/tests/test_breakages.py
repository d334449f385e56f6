"""The breakages are held against protovalidate, which reads the same rules in another way."""

import secrets
from collections.abc import Iterator

import protovalidate
import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from buf.validate import validate_pb2
from consilience.v1 import ask_pb2, node_pb2
from consilience.v1.envelope_pb2 import CallHeader
from consilience_conformance.breakages import Breakage, UndrawableRuleError, breakages
from consilience_conformance.broken_expressions import EXPRESSIONS
from consilience_conformance.image import message_class, pool
from consilience_conformance.records.kinds import KINDS, Cast

CALLS = ("Ask", "ResumeAnswerCall", "GetAnswerCall", "CancelAnswerCall")
KEPT = {kind.payload_type.rpartition(".")[2]: kind for kind in KINDS}
WITHIN = ("KeyAcceptance", "ReviewTicket", "PaymentAttestation")
"""What is signed within records."""
DRAWN = (*CALLS, *KEPT, *WITHIN)
UNSEEN = {("profiles[0]", "enum.defined_only"), ("rails[0].backings[0]", "enum.defined_only")}
"""Protovalidate does not look for undefined values in lists."""
BOTH_BOUNDS = {
    "int32.gte_lte": ("int32.gte", "int32.lte"),
    "int64.gte_lte": ("int64.gte", "int64.lte"),
    "int64.gt_lte": ("int64.gt", "int64.lte"),
}
"""Where a number has two bounds, protovalidate names both."""
RULE_KINDS = ("string", "bytes", "repeated", "map", "enum", "int32", "int64", "duration")


def good(name: str) -> Message:
    """Returns a message that keeps all rules, in which each of them can be broken."""
    if name in CALLS:
        return good_call(name)
    cast = Cast.new()
    within = {
        "KeyAcceptance": cast.node.acceptance(),
        "ReviewTicket": cast.ticket.value,
        "PaymentAttestation": cast.node.attestation(cast.ticket),
    }
    kept = KEPT.get(name)
    message = within[name] if kept is None else (kept.full or kept.make)(cast)
    return message_class(f"consilience.v1.{name}").FromString(message.SerializeToString())


def good_call(name: str) -> Message:
    header = CallHeader(
        method="consilience.v1.AskService/Ask",
        audience=secrets.token_bytes(32),
        caller=secrets.token_bytes(32),
        request_id=secrets.token_bytes(16),
    )
    header.issue_time.FromSeconds(1_800_000_000)
    header.expire_time.FromSeconds(1_800_000_120)
    call: Message = ask_pb2.GetAnswerCall(header=header, ask_request_id=secrets.token_bytes(16))
    if name == "Ask":
        part = ask_pb2.Part(text="How long is a foot?")
        call = ask_pb2.Ask(
            header=header,
            skill_id="chat",
            card_digest=secrets.token_bytes(32),
            turns=[ask_pb2.Turn(role=ask_pb2.ROLE_ASKER, parts=[part])],
            data_class=node_pb2.DATA_CLASS_PUBLIC,
        )
    return message_class(f"consilience.v1.{name}").FromString(call.SerializeToString())


def drawn(name: str) -> tuple[Breakage, ...]:
    return breakages(f"consilience.v1.{name}")


def violations(message: Message) -> list[tuple[str, str]]:
    """Returns path and rule of what a message breaks."""
    found = []
    for violation in protovalidate.collect_violations(message):
        field = violation.proto.field
        path = ".".join(
            one.field_name if one.subscript is None else f"{one.field_name}[{one.subscript.value}]"
            for one in (field.elements if field is not None else ())
        )
        found.append((path, str(violation.proto.rule_id)))
    return found


@pytest.mark.parametrize("name", DRAWN)
def test_a_call_without_a_breakage_keeps_all_rules(name: str) -> None:
    assert violations(good(name)) == []


@pytest.mark.parametrize(
    ("name", "breakage"), [pytest.param(name, one, id=f"{name} {one.name}") for name in DRAWN for one in drawn(name)]
)
def test_a_breakage_breaks_the_rule_that_it_claims_and_no_other(name: str, breakage: Breakage) -> None:
    message = good(name)
    breakage.change(message)
    broken = violations(message)
    claimed = [path for path, rule in broken if breakage.rule in {rule, *BOTH_BOUNDS.get(rule, ())}]
    if (breakage.path, breakage.rule) not in UNSEEN:
        assert any(map(breakage.is_named_by, claimed)), broken
    # What holds between fields does not hold either where one of them is wrong or absent.
    others = [(path, rule) for path, rule in broken if path not in claimed and rule not in EXPRESSIONS]
    assert others == []


@pytest.mark.parametrize("name", DRAWN)
def test_names_of_breakages_are_unique(name: str) -> None:
    names = [one.name for one in drawn(name)]
    assert len(set(names)) == len(names)


def declared(descriptor: Descriptor) -> Iterator[str]:
    """Yields the rules of a message and of what it holds as options, read by name and without the drawing."""
    options = str(descriptor.GetOptions().Extensions[validate_pb2.message])
    yield from (f"{descriptor.name} {line.split()[-1]}" for line in options.splitlines() if "  id:" in line)
    for oneof in descriptor.oneofs:
        if oneof.GetOptions().HasExtension(validate_pb2.oneof):
            yield f"{descriptor.name}.{oneof.name}"
    for field in descriptor.fields:
        rules = field.GetOptions().Extensions[validate_pb2.field]
        kinds = [value for kind, value in rules.ListFields() if kind.name in RULE_KINDS]
        yield from (f"{descriptor.name}.{field.name}" for _ in range(rules.required))
        for kind in kinds:
            items = kind.items.ListFields() if kind.DESCRIPTOR.name == "RepeatedRules" else []
            inner = [rule for _, rules in items for rule in rules.ListFields()]
            outer = [rule for rule, _ in kind.ListFields() if rule.name != "items"]
            yield from (f"{descriptor.name}.{field.name}" for _ in (*inner, *outer))
        held = field.message_type
        if held is not None and held.full_name.startswith("consilience.") and held.name != "SignedEnvelope":
            yield from declared(held)


@pytest.mark.parametrize("name", DRAWN)
def test_every_declared_rule_is_broken(name: str) -> None:
    rules = {(one.path, one.rule) for one in drawn(name)}
    assert len(rules) == len(list(declared(pool().FindMessageTypeByName(f"consilience.v1.{name}"))))


def test_a_rule_that_nothing_here_breaks_stops_the_drawing() -> None:
    with pytest.raises(UndrawableRuleError, match="sequence"):
        breakages("consilience.v1.AnswerEvent")


@pytest.mark.parametrize(
    ("blamed", "named"),
    [
        ("turns[0].parts[0]", True),
        ("turns[0].parts[0].text", True),
        ("turns[0].parts[0].content", True),
        ("turns[0]", False),
        ("turns[0].parts[01]", False),
        ("turns[0].role", False),
    ],
)
def test_a_rule_of_a_oneof_may_be_blamed_on_what_is_within(*, blamed: str, named: bool) -> None:
    (breakage,) = (one for one in drawn("Ask") if one.path == "turns[0].parts[0]" and one.whole)
    assert breakage.is_named_by(blamed) is named


def test_a_rule_of_a_field_is_blamed_on_that_field_alone() -> None:
    breakage = next(one for one in drawn("Ask") if one.path == "header.method")
    assert breakage.is_named_by("header.method")
    assert not breakage.is_named_by("header")
    assert not breakage.is_named_by("header.method.name")
    assert not breakage.is_named_by("method")
