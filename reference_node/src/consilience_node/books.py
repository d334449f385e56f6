"""Books: what an operator sees of the money of a node, and does with it, whether the node runs or not.

The ledger lies in the database of the node, which a running node shares with its replicas; these commands open it as
one more replica, which takes no asks::

    async with opened_books(config) as books:
        for row in await books.earnings():
            print(row.asset, row.earned)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from consilience._wire import envelopes
from consilience.envelopes import Envelope, Signed
from consilience.errors import ConsilienceError, UsageError
from consilience.identity import KeyPair
from consilience.payments import Receipt, SessionTerms
from consilience.rails.hold import HOLD_RAIL, issue_hold
from consilience.server.keys import FixedKey
from consilience.server.payments.accounts import Accounts
from consilience.server.payments.changes import Changes
from consilience.server.payments.receipts import terms_of
from consilience.server.payments.tills import Till
from consilience.server.store.contract import StoreLockedError
from consilience.server.store.ledger import Ledger, StoredDeposit, StoredSession
from consilience.server.store.sqlite import SqliteStore
from consilience.tariffs import Backing
from consilience.units import Digest, utc_now
from consilience_node.config import Config
from consilience_node.grants import root_key
from consilience_node.state import StateFolder

REPLICA = "consilience-node books"
PAGE = 500
LEASE = timedelta(minutes=1)
PATIENCE_SECONDS = 10.0
"""How long a command waits for another one to end that works on the books."""
