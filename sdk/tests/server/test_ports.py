import socket

import pytest

from consilience.errors import UsageError
from consilience.nodes import NodeAddress
from consilience.server.ports import require_free


def test_a_free_port_can_be_listened_on_by_whoever_asked() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    require_free(NodeAddress(authority=f"127.0.0.1:{port}"))
    socket.create_server(("127.0.0.1", port)).close()


def test_a_port_in_use_is_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        authority = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"the address {authority} is in use: stop .* or choose another port"):
            require_free(NodeAddress(authority=authority))


@pytest.mark.parametrize(
    ("authority", "reason"),
    [("192.0.2.1:7341", "Cannot assign|Can't assign"), ("a..b:7341", "label")],
)
def test_an_address_that_is_not_of_this_machine_is_told_with_the_reason(authority: str, reason: str) -> None:
    with pytest.raises(UsageError, match=f"cannot listen on {authority}: .*({reason})"):
        require_free(NodeAddress(authority=authority))
