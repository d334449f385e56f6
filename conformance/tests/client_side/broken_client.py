"""A client with one fault, by which the judge of clients is judged: `--broken NAME`.

It is the adapter of the Python SDK, in whose process the SDK is changed at one place. Of what it has to die stands in
`broken_clients.toml`.
"""

import argparse
import asyncio

from conformance.tests.client_side.faults import (
    answers,
    asking,
    cards,
    envelopes,
    finding,
    logs,
    payments,
    records,
    reviews,
)
from conformance.tests.client_side.faults.registry import FAULTS
from examples.clients.python.client_under_test import main

__all__ = [
    "FAULTS",
    "answers",
    "asking",
    "cards",
    "envelopes",
    "finding",
    "logs",
    "payments",
    "records",
    "reviews",
]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broken", required=True, choices=FAULTS)
    FAULTS[parser.parse_args().broken]()
    asyncio.run(main())
