import pytest

from sdk.tests.payments.deals import Deal, make_deal


@pytest.fixture(scope="session")
def deal() -> Deal:
    return make_deal()
