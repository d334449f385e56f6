"""Calls: the header that binds a signed call to one method, node, caller and stretch of time (spec section 0.4).

One function makes a header and one checks it; the clock is passed in.
"""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from consilience.errors import (
    AudienceWrongError,
    CallExpiredError,
    CallNotYetValidError,
    ExtensionUnsupportedError,
    MethodWrongError,
    ServerTime,
    Supported,
)
from consilience.units import PublicKey, RequestId

REQUEST_ID_BYTES = 16
MAX_LIFETIME = timedelta(minutes=10)
MAX_CLOCK_SKEW = timedelta(seconds=30)
DEFAULT_LIFETIME = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallHeader:
    """What every signed call opens with.

    Attributes:
        method: `consilience.v1.AskService/Ask`.
        audience: The node that is to act.
        caller: The key that signs.
        request_id: 16 random bytes; a retry keeps them.
        issue_time, expire_time: Aware UTC, at most 10 minutes apart.
        required_extensions: URIs without which the call is not to be carried out.
        extensions: Encoded `google.protobuf.Any` by URI.
    """

    method: str
    audience: PublicKey
    caller: PublicKey
    request_id: RequestId
    issue_time: datetime
    expire_time: datetime
    required_extensions: tuple[str, ...] = ()
    extensions: Mapping[str, bytes] = field(default_factory=dict)


def new_request_id() -> RequestId:
    """Returns 16 bytes from the system's random source."""
    return RequestId(os.urandom(REQUEST_ID_BYTES))


def new_header(
    *,
    method: str,
    audience: PublicKey,
    caller: PublicKey,
    now: datetime,
    request_id: RequestId | None = None,
    lifetime: timedelta = DEFAULT_LIFETIME,
    required_extensions: tuple[str, ...] = (),
) -> CallHeader:
    """Makes the header of a call that is signed now."""
    return CallHeader(
        method=method,
        audience=audience,
        caller=caller,
        request_id=request_id or new_request_id(),
        issue_time=now,
        expire_time=now + lifetime,
        required_extensions=required_extensions,
    )


def check_header(header: CallHeader, *, method: str, audience: PublicKey, extensions: Container[str] = ()) -> None:
    """Checks what a header is for, in the order of spec section 0.4; its constraints and its time are checked apart.

    Raises:
        MethodWrongError, AudienceWrongError: It was made for another method or node.
        ExtensionUnsupportedError: It requires an extension that is not in `extensions`.
    """
    if header.method != method:
        raise MethodWrongError(f"the header is for {header.method}, the call is {method}")
    if header.audience != audience:
        raise AudienceWrongError("the header is for another node")
    for uri in header.required_extensions:
        if uri not in extensions:
            raise ExtensionUnsupportedError(
                f"the extension {uri} is not known here",
                detail=Supported(field="header.required_extensions", values=_listed(extensions)),
            )


def check_freshness(header: CallHeader, *, now: datetime) -> None:
    """Checks the time of a header. For an ask this comes after the look-up of its request id (ASK-IDEM-004).

    Raises:
        CallExpiredError, CallNotYetValidError: With the node's time.
    """
    # Differences, because a sum may lie beyond the last time that there is.
    if now - header.expire_time > MAX_CLOCK_SKEW:
        raise CallExpiredError("the call has expired by the node's clock", detail=ServerTime(server_time=now))
    if header.issue_time - now > MAX_CLOCK_SKEW:
        raise CallNotYetValidError(
            "the call was issued in the future by the node's clock", detail=ServerTime(server_time=now)
        )


def _listed(extensions: Container[str]) -> tuple[str, ...]:
    return tuple(sorted(extensions)) if isinstance(extensions, (set, frozenset, dict, tuple, list)) else ()
