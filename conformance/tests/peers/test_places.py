"""Whoever the judge plays is called on this machine."""

from __future__ import annotations

import pytest

from consilience_conformance.peers.places import PlaceError, port_of


@pytest.mark.parametrize(
    ("address", "port"), [("127.0.0.1:7349", 7349), ("localhost:1", 1), ("127.0.0.1:65535", 65535)]
)
def test_a_place_has_a_port(address: str, port: int) -> None:
    assert port_of(address) == port


@pytest.mark.parametrize(
    "address",
    ["", "7349", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:x", "bank.example:7350", "10.0.0.1:1"],
)
def test_a_place_is_on_this_machine_alone(address: str) -> None:
    with pytest.raises(PlaceError, match="no address at which the judge can be called: write"):
        port_of(address)
