"""Verify: whoever touches the log or a read model behind the ledger's back is found out.

Tampering is done as a superuser, for nobody else can.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from api.demo import play
from api.wiring import MODELS, Ledger, open_ledger
from ledger.ids import new_id
from projections.rebuild import rebuild
from projections.verify import verify
from tests.conftest import NewDatabase
from tests.writing import comment, create, entry, submit, superuser


@pytest_asyncio.fixture(scope="module")
async def own(server_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Ledger]:
    """A ledger on a database of this file's own: each test takes back what it does."""
    from tests.conftest import _new_database

    async with open_ledger(await _new_database(server_url)) as opened:
        yield opened
