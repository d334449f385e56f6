"""What it costs to check signed money: vouchers and receipts, against bare Ed25519 verifications of the same bytes."""

import time
from collections.abc import Callable, Sequence

from nacl.signing import VerifyKey

from benchmarks.pairs import Ratio, in_turn, ratio_of
from consilience._wire.envelopes import from_bytes, open_envelope, seal, to_bytes
from consilience.envelopes import Envelope, Signed, pre_authentication_encoding
from consilience.identity import KeyPair
from consilience.payments import Receipt, Voucher, check_chain
from consilience.payments.sessions import check_voucher
from consilience.units import Digest

VOUCHERS = 2000
RECEIPTS = 2000
ROUNDS = 7


async def measure_signatures(receipts: Sequence[Signed[Receipt]]) -> list[Ratio]:
    """Measures how many vouchers a node checks, and how many receipts of one session a payer does, in a second."""
    key, session_id = KeyPair.generate(), Digest(bytes(32))
    made = (Voucher(payer=key.public_key, session_id=session_id, cumulative=number) for number in range(VOUCHERS))
    vouchers = [seal(voucher, signer=key).envelope for voucher in made]
    chain = [to_bytes(receipt.envelope) for receipt in receipts[:RECEIPTS]]

    def check_vouchers() -> None:
        for envelope in vouchers:
            check_voucher(open_envelope(envelope, Voucher).value)

    def check_receipts() -> None:
        before = None
        for encoded in chain:
            receipt = open_envelope(from_bytes(encoded), Receipt)
            check_chain(receipt, before=before)
            before = receipt

    envelopes = [receipt.envelope for receipt in receipts[:RECEIPTS]]
    return [
        await _ratio("voucher_checks_vs_ed25519", check_vouchers, vouchers, unit="vouchers/s"),
        await _ratio("receipt_checks_vs_ed25519", check_receipts, envelopes, unit="receipts/s"),
    ]


async def _ratio(name: str, check: Callable[[], None], envelopes: list[Envelope], *, unit: str) -> Ratio:
    signed = [
        (VerifyKey(one.public_key), pre_authentication_encoding(one.payload_type, one.payload), one.signature)
        for one in envelopes
    ]

    def verify() -> None:
        for key, message, signature in signed:
            key.verify(message, signature)

    async def rate(work: Callable[[], None]) -> float:
        started = time.perf_counter()
        work()
        return len(envelopes) / (time.perf_counter() - started)

    pairs = await in_turn(lambda: rate(check), lambda: rate(verify), rounds=ROUNDS)
    return ratio_of(pairs, name=name, unit=unit, goal=None, higher_is_better=True)
