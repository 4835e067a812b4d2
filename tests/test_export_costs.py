"""Costs as a file in FOCUS columns: whole, exact, filtered, and as of any moment."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

import orjson
import pytest

from api.exports.focus import COLUMNS, focus_row, usd
from api.exports.lines import CSV_MARK
from api.wiring import Ledger
from ledger import log
from tests.client import Client
from tests.costs_naively import Moment, entries
from tests.tour import World, cost, fill

MONEY = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
MANDATORY = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd",
    "ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost",
    "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory",
    "ServiceName",
}  # fmt: skip
"""What a file must have to be one of FOCUS 1.2."""


@pytest.fixture
async def world(owner: Client) -> World:
    """One of everything, a few reports, one of them corrected downwards."""
    world = await fill(owner)
    path = f"issues/{world['issue']}/runs/{world['run']}/costs"
    for used in (
        {"cost_micros": 1_234_567, "output_tokens": 5, "cached_tokens": 2},
        {"cost_micros": 0, "model": '=1+1,"x"', "provider": "=cmd"},
    ):
        assert (await owner.post(path, cost(**used))).status == 201
    said = {"corrects_position": world.report, "cost_micros": 1, "reason": "Twice."}
    assert (await owner.post(f"{path}/correct", said)).status == 200
    return world


async def exported(
    owner: Client, query: str = "", accept: str = "text/csv"
) -> tuple[list[dict[str, Any]], dict[str, Any], bytes]:
    """The rows, what the last line says, and all bytes."""
    headers = {"Authorization": f"Bearer {owner.key}", "Accept": accept}
    url = f"{owner.base_url}/v1/companies/{owner.company}/costs/export?{query}"
    async with owner.http.get(url, headers=headers) as response:
        raw = await response.read()
        assert response.status == 200, raw
        assert response.content_type == accept
        assert response.headers["Ledger-Position"].isdigit()
    if accept == "text/csv":
        *records, last = csv.DictReader(io.StringIO(raw.decode(), newline=""))
        assert last[COLUMNS[0]] == CSV_MARK
        return records, orjson.loads(last[COLUMNS[1]]), raw
    *lines, last_line = raw.splitlines()
    return [orjson.loads(line) for line in lines], orjson.loads(last_line)["export"], raw


async def test_a_file_has_a_row_a_report_and_a_correction(owner: Client, world: World) -> None:
    """In CSV and NDJSON alike, by what the columns of FOCUS are for."""
    rows, last, raw = await exported(owner, "format=focus")
    assert tuple(rows[0]) == COLUMNS
    assert set(COLUMNS) >= MANDATORY
    assert [row["BilledCost"] for row in rows] == ["0.000003", "1.234567", "0.000000", "-0.000002"]
    assert last["count"] == 4
    assert last["focus_version"] == "1.2"
    before_last = raw[: raw.rindex(CSV_MARK.encode())]
    assert last["sha256"] == sha256(before_last).hexdigest()

    today = datetime.now(UTC).date()
    row = rows[1]
    expected = {
        "BillingCurrency": "USD",
        "BillingAccountId": owner.company,
        "BillingAccountName": "Acme",
        "BillingPeriodStart": f"{today.replace(day=1)}T00:00:00Z",
        "ChargePeriodStart": f"{today}T00:00:00Z",
        "ChargePeriodEnd": f"{today + timedelta(days=1)}T00:00:00Z",
        "ChargeCategory": "Usage",
        "ChargeClass": "",
        "ConsumedQuantity": "14",
        "ConsumedUnit": "Tokens",
        "PricingQuantity": "14",
        "PricingUnit": "Tokens",
        "ProviderName": "anthropic",
        "PublisherName": "anthropic",
        "InvoiceIssuerName": "anthropic",
        "ServiceName": "anthropic",
        "ServiceCategory": "AI and Machine Learning",
        "ResourceId": world["run"],
        "ResourceType": "Agent run",
        "SkuId": "claude",
        "SubAccountId": world["project"],
        "SubAccountName": "here project",
        "x_InputTokens": "7",
        "x_OutputTokens": "5",
        "x_CachedTokens": "2",
    }
    assert {name: row[name] for name in expected} == expected
    assert {row[name] for name in MONEY} == {"1.234567"}
    tags = orjson.loads(row["Tags"])
    assert tags["project"] == "here project"
    assert tags["team_id"] == world["team"]
    assert tags["agent"] == "here agent"
    assert tags["issue_id"] == world["issue"]
    assert rows[3]["x_CorrectsPosition"] == str(world.report)
    assert rows[2]["SkuId"] == '\'=1+1,"x"', "a text that a spreadsheet would calculate"

    told, last_json, _ = await exported(owner, accept="application/x-ndjson")
    assert {**last_json, "sha256": ""} == {**last, "sha256": "", "query": ""}
    assert [{**one, "Tags": None} for one in told] == [
        {**_as_json(one), "Tags": None} for one in rows
    ]
    assert told[0]["Tags"] == orjson.loads(rows[0]["Tags"])


_NUMBERS = ("ConsumedQuantity", "PricingQuantity", "x_Position", "x_CorrectsPosition",
            "x_InputTokens", "x_OutputTokens", "x_CachedTokens")  # fmt: skip


def _as_json(row: Mapping[str, str]) -> dict[str, Any]:
    """A record of CSV as NDJSON has it: null for empty, numbers for quantities, no guard."""
    return {
        name: None if text == "" else int(text) if name in _NUMBERS else text.removeprefix("'")
        for name, text in row.items()
    }


async def test_the_money_of_a_file_is_the_money_of_the_log(
    owner: Client, world: World, ledger: Ledger
) -> None:
    """Row by row and in sum, to the micro-dollar."""
    recorded = [one.recorded async for one in log.walk(ledger.readers, owner.company)]
    told = entries(recorded, Moment(len(recorded)))
    rows, _, _ = await exported(owner)
    assert [(int(row["x_Position"]), int(Decimal(row["BilledCost"]) * 10**6)) for row in rows] == [
        (one.recorded.position, one.amounts[-1]) for one in told
    ]
    (total,) = (await owner.get("costs/sums")).json["items"]
    assert sum(Decimal(row["BilledCost"]) for row in rows) * 10**6 == total["cost_micros"]


async def test_a_file_is_filtered_and_of_a_moment(owner: Client, world: World) -> None:
    """By what the list is filtered by; as of a position it is the same again, byte for byte."""
    assert len((await exported(owner, "provider=anthropic"))[0]) == 3
    assert len((await exported(owner, "project_id=here-project&model=claude"))[0]) == 3
    assert (await exported(owner, "until=2020-01-01"))[0] == []
    query = f"at_position={world.report}"
    first, _, raw = await exported(owner, query)
    assert [row["BilledCost"] for row in first] == ["0.000003"]
    again = (await exported(owner, query))[2]
    assert again == raw
    reply = await owner.get("costs/export?format=xlsx")
    assert (reply.status, reply.json["errors"][0]["pointer"]) == (422, "/format")


def test_only_a_correction_of_a_former_billing_period_is_called_one() -> None:
    """As FOCUS has it: ChargeClass is null for a correction inside its billing period."""

    def row(recorded_at: datetime, month: str, corrects: int | None) -> Any:
        return {
            "position": 9, "corrects_position": corrects, "day": date(2026, 4, 30),
            "at": recorded_at, "recorded_at": recorded_at, "month": month, "run_id": "r",
            "issue_id": "i", "agent_id": "a", "team_id": None, "project_id": None,
            "provider": "p", "model": "m", "input_tokens": -1, "output_tokens": 0,
            "cached_tokens": 0, "cost_micros": -5,
        }  # fmt: skip

    april, may = datetime(2026, 4, 30, 23, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    late = focus_row(row(may, "2026-04", 7), "c", "Acme", {"i": "ACM-1"})
    assert late["ChargeClass"] == "Correction"
    assert late["BillingPeriodStart"] == "2026-05-01T00:00:00Z"
    assert late["BillingPeriodEnd"] == "2026-06-01T00:00:00Z"
    assert late["ChargePeriodStart"] == "2026-04-30T00:00:00Z"
    assert late["Tags"] == {"issue": "ACM-1", "issue_id": "i", "agent": "a", "agent_id": "a"}
    assert late["SubAccountName"] is None
    assert focus_row(row(april, "2026-04", 7), "c", "Acme", {})["ChargeClass"] is None
    december = focus_row(row(datetime(2026, 12, 3, tzinfo=UTC), "2026-12", None), "c", "A", {})
    assert december["BillingPeriodEnd"] == "2027-01-01T00:00:00Z"
    assert december["ChargeClass"] is None


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "0.000000"), (1, "0.000001"), (-2, "-0.000002"), (10**15 + 1, "1000000000.000001")],
)
def test_money_is_exact(micros: int, text: str) -> None:
    """Decimal text with six places, however much or little it is."""
    assert format(usd(micros), "f") == text
