"""The faults of broken clients, by name."""

from collections.abc import Callable

Apply = Callable[[], None]

FAULTS: dict[str, Apply] = {}


def fault(name: str) -> Callable[[Apply], Apply]:
    """Registers what brings a fault about, in this process and for good."""

    def register(apply: Apply) -> Apply:
        FAULTS[name] = apply
        return apply

    return register
