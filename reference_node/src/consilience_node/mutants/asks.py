"""Mutants of the noun ask: admission."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from consilience.server import asks
from consilience_node.mutants.registry import mutant, replace


@mutant("request-id-reused-ok")
def _request_id_reused_ok() -> None:
    """Another ask under a bound request id gets the answer of the first."""

    def silent(_: Callable[..., None]) -> Callable[..., None]:
        def check(*_: Any) -> None:
            """Sees nothing."""

        return check

    replace(asks, "_check_reuse", silent)
