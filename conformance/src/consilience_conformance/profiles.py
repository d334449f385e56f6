"""Profiles: what a node promises as a whole, by the names that the specification calls them: `core`."""

from __future__ import annotations

from consilience.v1 import node_pb2
from consilience_conformance.registry_methods import GET_RECORD

CORE = "core"
"""The profile of every node."""

REGISTRY = "registry"
"""The profile of nodes that keep the records of everyone."""

PROBES = {REGISTRY: GET_RECORD}
"""By profile, a method that only nodes of it serve: one that answers there is judged, whatever its card declares.

Other profiles have none: what a node of them has to do, its card alone can tell.
"""

_PREFIX = "PROFILE_"


def known_profiles() -> tuple[str, ...]:
    """Returns the profiles of the specification."""
    return tuple(_name(value.number) for value in node_pb2.Profile.DESCRIPTOR.values if value.number)


def declared_profiles(card: node_pb2.NodeCard) -> tuple[str, ...]:
    """Returns the profiles that a card declares and this suite knows."""
    return tuple(name for name in known_profiles() if name in map(_name, card.profiles))


def _name(number: int) -> str:
    found = node_pb2.Profile.DESCRIPTOR.values_by_number.get(number)
    return found.name.removeprefix(_PREFIX).lower() if found else str(number)
