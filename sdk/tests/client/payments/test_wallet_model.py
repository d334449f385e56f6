"""A wallet against a model of plain integers: whatever the order, it signs no voucher beyond PAY-VCH-004."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from consilience.asks import Ask
from consilience.client.payments import Wallet
from consilience.client.payments.wallet_rows import Demand
from consilience.envelopes import Signed
from consilience.payments import Exposure
from consilience.units import RequestId
from sdk.tests.client.payments.wallet_specimens import WINDOW, Specimens, request_id

AMOUNTS = st.integers(0, 300)


class WalletMachine(RuleBasedStateMachine):
    """Asks begin, are metered, are paid for or let go of, in any order; the file is opened again now and then."""

    asks = Bundle("asks")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "wallet.sqlite"
        self.wallet = Wallet.at(self.file)
        self.specimens = Specimens()
        self.session_id = self.specimens.open(self.wallet)
        self.running: dict[RequestId, Exposure] = {}
        self.shared: set[RequestId] = set()
        self.begun = 0
        self.spent = 0
        self.highest = 0

    def teardown(self) -> None:
        self.wallet.close()
        self.folder.cleanup()

    @initialize(target=asks)
    def first(self) -> Signed[Ask]:
        return self._begun(ceiling=1000, question=0)

    @rule(target=asks, ceiling=st.integers(1, 400), question=st.integers(0, 50))
    def begin(self, ceiling: int, question: int) -> Signed[Ask]:
        return self._begun(ceiling=ceiling, question=question)

    def _begun(self, *, ceiling: int, question: int) -> Signed[Ask]:
        self.begun += 1
        name = request_id(self.begun)
        intent = self.specimens.intent(name, ceiling=ceiling, question=question)
        signed = self.wallet.begin(intent, per_day=10**9, least=1).voucher
        ask = self.specimens.ask(name)
        self.wallet.bind(ask)
        self.running[name] = intent.exposure
        if len(self.running) > 1:
            self.shared |= self.running.keys()
        assert signed == max(self.highest, self.bound)
        self.highest = signed
        return ask

    @rule()
    def send_along(self) -> None:
        signed = self.wallet.authorize(self.session_id).cumulative
        assert signed == max(self.highest, self.bound)
        self.highest = signed

    @rule(ask=asks, charge=AMOUNTS, more=st.sampled_from([-50, -1, 0, 0, 1, 400]))
    def meter(self, ask: Signed[Ask], charge: int, more: int) -> None:
        """A Meter that fits its text; what it requires is what an honest node would, or less, or more."""
        name = ask.value.header.request_id
        known = self.running.get(name)
        if known is None:
            return
        exposure = Exposure(
            ceiling=known.ceiling, window=WINDOW, question=known.question, metered=min(charge, known.ceiling)
        )
        base = self.highest if name in self.shared else self.spent
        upto = max(0, base + exposure.amount + more)
        authority = self.wallet.authorize(self.session_id, Demand(request_id=name, upto=upto, exposure=exposure))
        assert (name in authority.excessive) == (more > 0)
        if more <= 0:
            metered = max(exposure.metered or 0, known.metered or 0)
            self.running[name] = Exposure(
                ceiling=known.ceiling, window=WINDOW, question=known.question, metered=metered
            )
            alone = len(self.running) == 1
            assert authority.cumulative == max(self.highest, min(upto, self.bound) if alone else self.bound)
        else:
            assert authority.cumulative == self.highest
        assert self.highest <= authority.cumulative <= max(self.highest, self.bound)
        self.highest = authority.cumulative

    @rule(ask=consumes(asks), charge=AMOUNTS)
    def pay(self, ask: Signed[Ask], charge: int) -> None:
        exposure = self.running.pop(ask.value.header.request_id)
        charge = min(charge, exposure.ceiling)
        receipt = self.specimens.receipt(ask, charge=charge)
        self.wallet.receipts.keep(receipt)
        self.wallet.receipts.keep(receipt)  # once more changes nothing
        self.spent += charge

    @rule(ask=consumes(asks))
    def let_go(self, ask: Signed[Ask]) -> None:
        self.wallet.release(ask.value.header.request_id)
        del self.running[ask.value.header.request_id]

    @rule()
    def open_again(self) -> None:
        self.wallet.close()
        self.wallet = Wallet.at(self.file)

    @property
    def bound(self) -> int:
        return self.spent + sum(exposure.amount for exposure in self.running.values())

    @invariant()
    def the_wallet_knows_what_the_model_knows(self) -> None:
        session = self.wallet.session(self.session_id)
        assert session is not None
        assert (session.authorized, session.spent, session.running) == (self.highest, self.spent, len(self.running))
        assert session.exposed == sum(exposure.amount for exposure in self.running.values())


WalletMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestWalletModel = WalletMachine.TestCase
