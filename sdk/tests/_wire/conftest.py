import pytest

from sdk.tests._wire.chains import Chain, make_chain


@pytest.fixture(scope="session")
def chain() -> Chain:
    return make_chain()
