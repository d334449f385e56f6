"""Signatures of callers on which verifiers disagree, over calls that are good otherwise.

With T a point of order eight, take a key A = aB + tT and R = rB + uT, and S = r + ka. Then [S]B - R - [k]A is
-(u + kt)T: only a verifier that multiplies by eight accepts where eight does not divide u + kt.
"""

from __future__ import annotations

import functools
import secrets

from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import edwards, signatures
from consilience_conformance.edwards import BASE, COFACTOR, GROUP_ORDER, IDENTITY, Point, SecretScalar
from consilience_conformance.envelopes import pre_authentication_encoding
from consilience_conformance.signed_calls import ASKING, Method, SignedCall
from consilience_conformance.stage import Stage

SMALL_KEY = IDENTITY.encode()
"""A key of small order: with it, R = the identity and S = 0 are a signature of everything."""


def small_order(_: Stage, method: Method, call: SignedCall) -> SignedEnvelope:
    """Returns a call that nobody signed: where the key is the identity, R = the identity and S = 0 are a signature."""
    call.header.caller = SMALL_KEY
    return signed_by_nobody(call.SerializeToString(deterministic=True), payload_type=method.payload_type)


def signed_by_nobody(payload: bytes, *, payload_type: str) -> SignedEnvelope:
    """Returns what nobody signed, under the key of small order, which the payload has to name as its signer."""
    return SignedEnvelope(
        payload_type=payload_type,
        payload=payload,
        public_key=SMALL_KEY,
        signature=IDENTITY.encode() + edwards.encode_scalar(0),
    )


def cofactored_only(stage: Stage, method: Method, call: SignedCall) -> SignedEnvelope:
    """Returns a call signed by its caller with an R that has a part of small order: only a factor of eight hides it."""
    payload = call.SerializeToString(deterministic=True)
    return signed_with_torsion(payload, payload_type=method.payload_type, seed=stage.caller.seed)


def signed_with_torsion(payload: bytes, *, payload_type: str, seed: bytes) -> SignedEnvelope:
    """Returns what is signed with an R that has a part of small order."""
    secret = SecretScalar.from_seed(seed)
    return _signed(payload, payload_type=payload_type, scalar=secret.scalar, key=signatures.public_key(seed), torsion=1)


def signed_with_other_nonce(envelope: SignedEnvelope, *, seed: bytes) -> SignedEnvelope:
    """Returns an envelope with another signature over the same bytes, as valid as the first."""
    secret = SecretScalar.from_seed(seed)
    return _signed(
        envelope.payload,
        payload_type=envelope.payload_type,
        scalar=secret.scalar,
        key=envelope.public_key,
        torsion=0,
    )


def mixed_order_ask(stage: Stage) -> SignedEnvelope:
    """Returns a good ask of a caller whose key has a part of small order, with a signature that holds as it stands."""
    scalar = SecretScalar.from_seed(secrets.token_bytes(32)).scalar
    key = BASE.times(scalar).plus(_torsion()).encode()
    ask = stage.ask()
    ask.header.caller = key
    while True:
        ask.header.request_id = secrets.token_bytes(16)
        payload = ask.SerializeToString(deterministic=True)
        envelope = _signed(payload, payload_type=ASKING.payload_type, scalar=scalar, key=key, torsion=0)
        signed = pre_authentication_encoding(envelope.payload_type, payload)
        k = edwards.challenge(envelope.signature[:32], public_key=key, message=signed) % GROUP_ORDER
        if k % COFACTOR == 0:
            return envelope


def _signed(payload: bytes, *, payload_type: str, scalar: int, key: bytes, torsion: int) -> SignedEnvelope:
    nonce = secrets.randbelow(GROUP_ORDER - 1) + 1
    r = BASE.times(nonce).plus(_torsion().times(torsion)).encode()
    message = pre_authentication_encoding(payload_type, payload)
    k = edwards.challenge(r, public_key=key, message=message) % GROUP_ORDER
    signature = r + edwards.encode_scalar((nonce + k * scalar) % GROUP_ORDER)
    return SignedEnvelope(payload_type=payload_type, payload=payload, public_key=key, signature=signature)


@functools.cache
def _torsion() -> Point:
    return edwards.torsion_generator()
