"""Metering: what a running answer may deliver, what it costs so far, and what it is charged (spec section 3.6).

    handler --> text --> a piece that costs half a window at most --> covered by the session? --> log --> Meter
                                                                       |
                                                                       `- no: PaymentNeeded, and wait for a voucher

A payer that follows the Meters is always asked for text that it has allowed, and never for more than a window ahead.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta

from consilience._wire import envelopes
from consilience.asks import Answer, Metered, Outcome, PaymentNeeded, StopReason, Usage
from consilience.envelopes import Signed
from consilience.payments import Meter, Quote, charge_of, cost
from consilience.server.deliveries import DeliveryStoppedError, Write
from consilience.server.finals import Tally
from consilience.server.payments.tills import Settled, Till
from consilience.server.store.contract import AskReservation, StoredAsk
from consilience.server.store.ledger import StoredSession
from consilience.tariffs import Tariff
from consilience.units import Digest

POLL_SECONDS = 0.25
"""How often an answer that stands still looks for what another replica has taken in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidAsk:
    """How an ask is paid for, as it was agreed.

    Attributes:
        reservation: What it is paid out of, and what is set aside for it at first.
        quote: The price.
        tariff: That of the quote.
        till: Takes the money.
    """

    reservation: AskReservation
    quote: Quote
    tariff: Tariff
    till: Till


class Bill:
    """What a running ask costs, and what is set aside for it."""

    def __init__(self, ask: StoredAsk, *, paid: PaidAsk, tally: Tally, ticket_digest: Digest | None = None) -> None:
        """Takes over the bill of an ask that was bound just now.

        Args:
            ask: The ask.
            paid: How it is paid for.
            tally: Counts what stands in its log.
            ticket_digest: Names the ticket of its answer; None: there is none.
        """
        self._ask = ask
        self._paid = paid
        self._till = paid.till
        self._tally = tally
        self._ticket_digest = ticket_digest
        self._reserved = paid.reservation.reserved
        self._metered = 0
        self._waited = timedelta(0)
        self._step = max(1, paid.quote.window // 2)
        self._usage = Usage()

    async def authorize(self, text: str, *, output_tokens: int, write: Write) -> tuple[str, int]:
        """Returns what may go into the log of a text: a piece from its beginning, which the session covers.

        Args:
            text: What comes next.
            output_tokens: The tokens that begin in it.
            write: Takes the Meter that is due, and PaymentNeeded where the session does not cover even the piece.

        Returns:
            The piece, and its tokens.

        Raises:
            DeliveryStoppedError: The piece would cost more than the ask may, or nobody has paid for it in time.
        """
        self._usage = self._counted()
        await self._meter(write)
        piece, tokens, price = self._piece(text, output_tokens)
        if price > self._paid.reservation.ceiling:
            raise DeliveryStoppedError(StopReason.CHARGE_LIMIT)
        if price > self._reserved:
            await self._cover(price, write)
        return piece, tokens

    async def delivered(self, *, write: Write) -> None:
        """Says that the last piece stands in the log, and writes the Meter that is due (PAY-MTR-001)."""
        self._usage = replace(self._usage, output_bytes=self._tally.size_bytes, output_tokens=self._tally.output_tokens)
        await self._meter(write)

    def charge(self, usage: Usage, *, outcome: Outcome) -> int:
        """Returns what an answer is charged that ends now (PAY-CHG-001), in units of the asset.

        Args:
            usage: As the answer tells it. Tokens of text that never reached the log are not charged, nor is the time in
                which the answer stood still.
            outcome: How it ended; one that FAILED without text costs nothing.
        """
        if outcome is Outcome.FAILED and not self._tally.size_bytes:
            return 0
        due = replace(usage, output_tokens=self._tally.output_tokens, duration=usage.duration - self._waited)
        return min(charge_of(self._paid.tariff, due, ceiling=self._paid.reservation.ceiling), self._reserved)

    async def settle(self, answer: Signed[Answer], *, charge: int) -> Settled:
        """Makes the receipt, next in the session as it stands now; whoever stores it may have to make it anew."""
        return await self._till.settle(
            self._ask,
            answer=answer,
            charge=charge,
            reservation=self._paid.reservation,
            ticket_digest=self._ticket_digest,
        )

    def ended(self) -> None:
        """Says that the receipt is stored, and what was not charged is free for others (PAY-CHG-003)."""
        self._till.changes.announce(self._paid.reservation.session_id)

    def _counted(self) -> Usage:
        """Returns what the text in the log has used by now."""
        running = max(self._till.clock() - self._ask.accept_time - self._waited, self._usage.duration)
        return replace(
            self._tally.told,
            output_bytes=self._tally.size_bytes,
            output_tokens=self._tally.output_tokens,
            duration=running,
        )

    def _cost_with(self, text: str, output_tokens: int) -> int:
        """Returns the cost of what stands in the log and of so much more."""
        used = self._usage
        more = replace(
            used,
            output_bytes=used.output_bytes + len(text.encode()),
            output_tokens=used.output_tokens + output_tokens,
        )
        return cost(self._paid.tariff, more)

    def _piece(self, text: str, output_tokens: int) -> tuple[str, int, int]:
        """Returns the longest beginning of a text that costs a step at most, with its tokens and the cost with it.

        It has one character at least.
        """
        most = cost(self._paid.tariff, self._usage) + self._step
        price = self._cost_with(text, output_tokens)
        if price <= most:
            return text, output_tokens, price
        fitting, beyond = 1, len(text)
        while beyond - fitting > 1:
            middle = (fitting + beyond) // 2
            if self._cost_with(text[:middle], _share(output_tokens, middle, of=len(text))) <= most:
                fitting = middle
            else:
                beyond = middle
        tokens = _share(output_tokens, fitting, of=len(text))
        return text[:fitting], tokens, self._cost_with(text[:fitting], tokens)

    async def _meter(self, write: Write) -> None:
        """Writes a Meter where the charge has grown by half a window since the last one."""
        ceiling = self._paid.reservation.ceiling
        charge = charge_of(self._paid.tariff, self._usage, ceiling=ceiling)
        if charge - self._metered < self._step:
            return
        session = await self._till.session(self._paid.reservation)
        now = self._till.clock()
        signer = self._till.keys.signer(now=now)
        meter = Meter(
            node_id=self._till.node_id,
            signing_key=signer.public_key,
            ask_digest=self._ask.ask_digest,
            quote_digest=self._paid.reservation.quote_digest,
            session_id=session.session_id,
            usage=self._usage,
            charge=charge,
            transcript_digest=self._tally.digest,
            required_cumulative=self._required(session, min(charge + self._paid.quote.window, ceiling)),
            issue_time=now,
        )
        self._metered = charge
        await write(Metered(meter=envelopes.seal(meter, signer=signer).envelope))

    def _required(self, session: StoredSession, price: int) -> int:
        """Returns the total that has to be authorized so that this ask can cost so much."""
        return session.account.spent + session.account.reserved - self._reserved + price

    async def _cover(self, price: int, write: Write) -> None:
        """Sets aside what text costs, and half a window ahead of it; where it is not authorized, waits for a voucher.

        Raises:
            DeliveryStoppedError: None came within `hold_open`.
        """
        loop = asyncio.get_running_loop()
        began, patience = self._till.clock(), self._paid.quote.hold_open
        end, told = loop.time() + patience.total_seconds(), -1
        with self._till.changes.watching(self._paid.reservation.session_id) as changed:
            try:
                while (required := await self._reserve(price)) is not None:
                    if required != told:  # another ask of the session may have taken what came
                        await write(PaymentNeeded(required_cumulative=required, stop_time=began + patience))
                        told = required
                    if (left := end - loop.time()) <= 0:
                        raise DeliveryStoppedError(StopReason.UNPAID)
                    await _set_within(changed, seconds=min(left, POLL_SECONDS))
            finally:
                if told >= 0:
                    self._waited += max(self._till.clock() - began, timedelta(0))

    async def _reserve(self, price: int) -> int | None:
        """Sets aside a price and half a window more, or what is authorized of that.

        More would be taken from other asks of the session, whose payer allows them a window from their last Meter.

        Returns:
            None: at least the price is set aside. Otherwise the total that a voucher has to reach.
        """
        most = min(price + self._step, self._paid.reservation.ceiling)
        reservation, session = await self._till.ledger.extend(self._ask.key, least=price, most=most)
        self._reserved = reservation.reserved
        return None if self._reserved >= price else self._required(session, price)


def _share(tokens: int, characters: int, *, of: int) -> int:
    """Returns how many of the tokens of a text are counted with so many of its characters: none is counted late."""
    return -(-tokens * characters // of)


async def _set_within(event: asyncio.Event, *, seconds: float) -> None:
    """Waits until an event is set, or the time has passed, and clears it."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()
