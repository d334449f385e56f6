"""The vectors can fail: an implementation with one fault fails the vectors made for that fault, and no others."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

import pytest

from consilience_conformance import edwards, vectors
from consilience_conformance.edwards import STRICT, Rule
from consilience_conformance.envelopes import pre_authentication_encoding

Test = dict[str, Any]


class Reader(NamedTuple):
    """How an implementation verifies an envelope, each step open to a fault."""

    rules: Rule = STRICT
    type_matters: bool = True
    empty_signature: str = "SIGNATURE_MISSING"
    signed: Callable[[str, bytes], bytes] = pre_authentication_encoding
    type_first: bool = True
    prime_order_only: bool = False

    def verdict(self, test: Test) -> str:
        """Returns what it makes of a vector: the reason for refusing it, or nothing."""
        key, signature = bytes.fromhex(test["publicKey"]), bytes.fromhex(test["signature"])
        payload_type, payload = test["payloadType"], bytes.fromhex(test["payload"])
        type_wrong = self.type_matters and payload_type != test["expectedType"]
        if type_wrong and self.type_first:
            return "PAYLOAD_TYPE_WRONG"
        if len(key) != edwards.POINT_BYTES:
            return "ENVELOPE_MALFORMED"
        if not signature:
            return self.empty_signature
        if len(signature) != edwards.SIGNATURE_BYTES:
            return "ENVELOPE_MALFORMED"
        message = self.signed(payload_type, payload)
        if not edwards.verify(signature, message=message, public_key=key, rules=self.rules):
            return "SIGNATURE_INVALID"
        if self.prime_order_only and not _has_prime_order(key):
            return "SIGNATURE_INVALID"
        return "PAYLOAD_TYPE_WRONG" if type_wrong else ""


def _has_prime_order(key: bytes) -> bool:
    point = edwards.decode(key)
    return point is not None and point.times(edwards.GROUP_ORDER).is_identity


@cache
def _tests() -> tuple[Test, ...]:
    groups = vectors.load("envelopes")["testGroups"]
    return tuple(test for group in groups if group["type"] == "EnvelopeVerify" for test in group["tests"])


def _failed_by(reader: Reader) -> set[int]:
    return {test["tcId"] for test in _tests() if reader.verdict(test) != test.get("reason", "")}


def _with(flag: str, *, but: Iterable[str] = ()) -> set[int]:
    """Returns the numbers of the tests with a flag and without others."""
    return {test["tcId"] for test in _tests() if flag in test["flags"] and not set(but) & set(test["flags"])}


def _refused_for(reason: str) -> set[int]:
    return {test["tcId"] for test in _tests() if test.get("reason") == reason}


def _without_encoding(_: str, payload: bytes) -> bytes:
    return payload


def _without_lengths(payload_type: str, payload: bytes) -> bytes:
    return payload_type.encode() + payload


def test_the_strict_reader_passes_every_vector() -> None:
    assert _failed_by(Reader()) == set()


@pytest.mark.parametrize(
    ("rule", "flag", "but"),
    [
        (Rule.CANONICAL_S, "MalleableS", ()),
        (Rule.LARGE_ORDER_A, "SmallOrderA", ("NonCanonicalA",)),
        (Rule.LARGE_ORDER_R, "SmallOrderR", ("NonCanonicalR",)),
        (Rule.LARGE_ORDER_A | Rule.CANONICAL_A, "SmallOrderA", ()),
        (Rule.LARGE_ORDER_R | Rule.CANONICAL_R, "SmallOrderR", ()),
        (Rule.COFACTORLESS, "CofactoredOnly", ()),
        (Rule.REDUCED_K, "ReducedK", ()),
    ],
)
def test_a_reader_without_a_rule_fails_the_vectors_of_that_rule(rule: Rule, flag: str, but: tuple[str, ...]) -> None:
    expected = _with(flag, but=but)
    assert expected
    assert _failed_by(Reader(rules=STRICT & ~rule)) == expected


@pytest.mark.parametrize("rule", [Rule.CANONICAL_A, Rule.CANONICAL_R])
def test_canonical_points_alone_cannot_be_tested(rule: Rule) -> None:
    """Every second way to write a point is one of small order, or of a point for which nobody can sign."""
    assert _failed_by(Reader(rules=STRICT & ~rule)) == set()


def test_a_reader_that_knows_only_the_canonical_points_of_small_order_fails_their_other_encodings() -> None:
    listed = {edwards.torsion_generator().times(index).encode() for index in range(edwards.COFACTOR)}
    lax = Reader(rules=STRICT & ~(Rule.LARGE_ORDER_A | Rule.CANONICAL_A))
    passed = {test["tcId"] for test in _tests() if bytes.fromhex(test["publicKey"]) in listed}
    assert _failed_by(lax) - passed == _with("NonCanonicalA")


def test_a_reader_that_asks_for_keys_of_prime_order_refuses_what_others_accept() -> None:
    with_torsion = {
        test["tcId"]
        for test in _tests()
        if "MixedOrder" in test["flags"] and not _has_prime_order(bytes.fromhex(test["publicKey"]))
    }
    assert _failed_by(Reader(prime_order_only=True)) == with_torsion != set()


def test_a_reader_that_takes_no_signature_for_a_good_one_fails() -> None:
    assert _failed_by(Reader(empty_signature="")) == _refused_for("SIGNATURE_MISSING") > _with("MissingSignature")


def test_a_reader_that_does_not_look_at_the_type_fails() -> None:
    assert _failed_by(Reader(type_matters=False)) == _refused_for("PAYLOAD_TYPE_WRONG")


def test_a_reader_that_looks_at_the_type_last_fails_where_two_things_are_wrong() -> None:
    unsigned = {test["tcId"] for test in _tests() if not test["signature"]}
    failed = _failed_by(Reader(type_first=False))
    assert failed == _refused_for("PAYLOAD_TYPE_WRONG") & unsigned
    assert failed <= _with("ChecksInOrder")


@pytest.mark.parametrize("signed", [_without_encoding, _without_lengths])
def test_a_reader_that_verifies_other_bytes_fails_every_valid_vector(signed: Callable[[str, bytes], bytes]) -> None:
    valid = {test["tcId"] for test in _tests() if test["result"] == "valid"}
    failed = _failed_by(Reader(signed=signed))
    assert valid <= failed
    assert len(failed - valid) == 1
    assert failed - valid <= _with("OtherPreImage")
