"""Rates: how often one caller may call, for calls that cost nothing and would be made without end.

Of the calls of a `CallRate`, no minute holds more than it allows; it suits what is done now and then. An `Allowance` is
used up at once or little by little and comes back evenly; it suits who has much to read.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from urllib.parse import unquote

MINUTE = timedelta(minutes=1)
NO_WAIT = timedelta(0)

_NETWORK_BYTES = 8

MAX_KEPT_CALLS = 100_000
"""Of all callers together, about 10 MB. Beyond it the callers that were quiet longest are forgotten: whoever makes up
that many keys has no need to wait anyway."""

MAX_KEPT_CALLERS = 50_000
"""About 15 MB. Beyond it the callers that were quiet longest are forgotten, as above."""

SHORTEST_WAIT = timedelta(seconds=1)

Unary = Callable[[bytes], Awaitable[bytes]]
"""A method that takes one message and returns one."""
AddressedUnary = Callable[[bytes, bytes], Awaitable[bytes]]
"""Is told besides from which address the call came, as `address_of` returns it."""


class CallRate:
    """Counts the calls of each caller over the last minute."""

    def __init__(self, *, per_minute: int, max_kept_calls: int = MAX_KEPT_CALLS) -> None:
        """Makes a rate of which nothing is used.

        Args:
            per_minute: Calls that one caller may make within any minute; 0: they are not bounded.
            max_kept_calls: Of all callers together, that are remembered.
        """
        self.per_minute = per_minute
        self._max_kept_calls = max_kept_calls
        self._calls: OrderedDict[bytes, deque[datetime]] = OrderedDict()
        self._kept = 0

    def take(self, caller: bytes, *, now: datetime) -> timedelta:
        """Counts a call, unless the caller has made as many as it may.

        Args:
            caller: Its key, or where no call is signed, its address.
            now: Aware UTC.

        Returns:
            How long to wait before the next one; zero: this one is counted.
        """
        if not self.per_minute:
            return NO_WAIT
        calls = self._calls.setdefault(caller, deque())
        self._calls.move_to_end(caller)
        # A call that seems to come later than now was made before the clock was set back.
        while calls and not NO_WAIT <= now - calls[0] < MINUTE:
            calls.popleft()
            self._kept -= 1
        if len(calls) >= self.per_minute:
            return MINUTE - (now - calls[0])
        calls.append(now)
        self._kept += 1
        self._forget(now=now)
        return NO_WAIT

    def _forget(self, *, now: datetime) -> None:
        """Drops the callers that were quiet for a minute and, where there are too many calls, those quiet longest."""
        while len(self._calls) > 1:
            quietest = next(iter(self._calls.values()))
            if quietest and NO_WAIT <= now - quietest[-1] < MINUTE and self._kept <= self._max_kept_calls:
                return
            self._calls.popitem(last=False)
            self._kept -= len(quietest)


class Allowance:
    """Lets each caller make so many calls at once, and regains them at the same number a minute."""

    def __init__(self, *, per_minute: int, max_kept_callers: int = MAX_KEPT_CALLERS) -> None:
        """Makes an allowance of which nothing is used.

        Args:
            per_minute: Calls that one caller may make at once, and in every minute after; 0: they are not bounded.
            max_kept_callers: That are remembered.
        """
        self.per_minute = per_minute
        self._max_kept_callers = max_kept_callers
        self._used: OrderedDict[bytes, tuple[float, datetime]] = OrderedDict()

    def take(self, caller: bytes, *, now: datetime) -> timedelta:
        """Counts a call, unless the caller has used up what it may.

        Args:
            caller: Its key, or where no call is signed, its address.
            now: Aware UTC.

        Returns:
            How long to wait before the next one, a second at least, so that it pays to come again; zero: this one is
            counted.
        """
        if not self.per_minute:
            return NO_WAIT
        used, at = self._used.pop(caller, (0.0, now))
        # A clock that was set back gives nothing back, and takes nothing.
        used = max(used - self.per_minute * (max(now - at, NO_WAIT) / MINUTE), 0.0)
        beyond = used + 1 - self.per_minute
        self._used[caller] = (used if beyond > 0 else used + 1, now)
        self._forget(now=now)
        return max(MINUTE * (beyond / self.per_minute), SHORTEST_WAIT) if beyond > 0 else NO_WAIT

    def _forget(self, *, now: datetime) -> None:
        """Drops the callers that have regained everything and, where there are too many, those quiet longest."""
        while len(self._used) > 1:
            _, at = next(iter(self._used.values()))
            if NO_WAIT <= now - at < MINUTE and len(self._used) <= self._max_kept_callers:
                return
            self._used.popitem(last=False)


def counted(method: Unary, *, count: Callable[[bytes], None]) -> AddressedUnary:
    """Returns a method that counts the address of each call before it does anything.

    Args:
        method: What it does then.
        count: Counts a call from an address, or raises why it is refused.
    """

    async def counting(request: bytes, address: bytes) -> bytes:
        count(address)
        return await method(request)

    return counting


def address_of(peer: str) -> bytes:
    """Returns by what the calls of an address are counted.

    A customer is given a /64 of IPv6 at the least, and may call from any address in it.

    Args:
        peer: As gRPC names the other end: `ipv4:192.0.2.1:5000`, `ipv6:[2001:db8::1]:5000`; anything else stands for
            itself.
    """
    host = unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return peer.encode()
    if isinstance(address, ipaddress.IPv4Address):
        return address.packed
    return address.ipv4_mapped.packed if address.ipv4_mapped is not None else address.packed[:_NETWORK_BYTES]
