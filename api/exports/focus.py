"""Costs in the columns of FOCUS 1.2, the FinOps Open Cost and Usage Specification.

One row is one report, or one correction of a report with the difference that it makes; so any sum
of rows is right. A report tells its money for all of its tokens together, so a row a kind of token
would have to invent shares: the kinds are in columns of their own instead, named with the `x_` that
FOCUS keeps for what is not in it. What each column holds is said in `COLUMNS`:

    BilledCost, EffectiveCost,         the report's money in dollars, exact to the micro-dollar:
    ListCost, ContractedCost           a ledger knows no discounts, so all four are one
    BillingAccountId, …Name, …Type     the company
    BillingPeriodStart, …End           the month in which it was recorded, in UTC
    ChargePeriodStart, …End            the UTC day of the report, also of its corrections
    ChargeCategory                     Usage
    ChargeClass                        Correction, where a correction is recorded in a later billing
                                       period than its report, which is where FOCUS wants the word;
                                       every correction has an x_CorrectsPosition
    ConsumedQuantity, PricingQuantity  input, output and cached tokens together
    ProviderName, PublisherName,       the provider of the model
    InvoiceIssuerName, ServiceName
    ResourceId, …Name, …Type           the run; the issue that it worked on; Agent run
    SkuId, SkuPriceId                  the model
    SubAccountId, …Name, …Type         the issue's project when it was reported
    Tags                               issue, agent, team and project by name and by id
    x_…                                the position in the log, exact times, and tokens by kind

Names are those that things began with, which never change: the same rows are the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ledger.codec import timestamp
from ledger.facts import month_of
from projections.queries import Row

VERSION = "1.2"
USD = "USD"
TOKENS = "Tokens"

Named = Mapping[str, str]
"""What issues and entries of the directory are called, by id."""

_MONEY = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
_PROVIDER = ("InvoiceIssuerName", "ProviderName", "PublisherName", "ServiceName")

COLUMNS = (
    *_MONEY, "BillingCurrency",
    "BillingAccountId", "BillingAccountName", "BillingAccountType",
    "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency",
    "ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit", "PricingCategory",
    "ListUnitPrice", "ContractedUnitPrice",
    *_PROVIDER, "ServiceCategory", "ServiceSubcategory",
    "ResourceId", "ResourceName", "ResourceType", "SkuId", "SkuPriceId",
    "SubAccountId", "SubAccountName", "SubAccountType", "Tags",
    "x_Position", "x_CorrectsPosition", "x_OccurredAt", "x_RecordedAt",
    "x_InputTokens", "x_OutputTokens", "x_CachedTokens",
)  # fmt: skip
"""In the order of a file; of the 1.2 names, those that a ledger has something to say in."""


def focus_row(row: Row, company_id: str, company_name: str, named: Named) -> dict[str, Any]:
    """An entry of the costs by FOCUS column: a Decimal for money, None for what is not there."""
    project, issue = _text(row["project_id"]), str(row["issue_id"])
    billed_in = month_of(row["recorded_at"])
    tokens = row["input_tokens"] + row["output_tokens"] + row["cached_tokens"]
    called = named.get(issue, issue)
    shown: dict[str, Any] = {
        **dict.fromkeys(_MONEY, usd(row["cost_micros"])),
        "BillingCurrency": USD,
        "BillingAccountId": company_id,
        "BillingAccountName": company_name,
        "BillingAccountType": "Company",
        **_periods(billed_in, row["day"]),
        "ChargeCategory": "Usage",
        "ChargeClass": _charge_class(row, billed_in),
        "ChargeDescription": f"{row['model']} of {row['provider']} for {called}",
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": tokens,
        "ConsumedUnit": TOKENS,
        "PricingQuantity": tokens,
        "PricingUnit": TOKENS,
        "PricingCategory": "Standard",
        "ListUnitPrice": None,
        "ContractedUnitPrice": None,
        **dict.fromkeys(_PROVIDER, row["provider"]),
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "ResourceId": str(row["run_id"]),
        "ResourceName": called,
        "ResourceType": "Agent run",
        "SkuId": row["model"],
        "SkuPriceId": row["model"],
        "SubAccountId": project,
        "SubAccountName": None if project is None else named.get(project),
        "SubAccountType": None if project is None else "Project",
        "Tags": _tags(row, named),
        **_beside(row),
    }
    return {name: shown[name] for name in COLUMNS}


def usd(micros: int) -> Decimal:
    """Micro-dollars in dollars, with six places."""
    return Decimal(micros).scaleb(-6)


def _charge_class(row: Row, billed_in: str) -> str | None:
    is_correction = row["corrects_position"] is not None
    return "Correction" if is_correction and billed_in != row["month"] else None


def _periods(billed_in: str, day: date) -> dict[str, str]:
    """From when on, and until before when: the month that bills it, the day that it is for."""
    start = date.fromisoformat(f"{billed_in}-01")
    end = (start + timedelta(days=31)).replace(day=1)
    return {
        "BillingPeriodStart": _midnight(start),
        "BillingPeriodEnd": _midnight(end),
        "ChargePeriodStart": _midnight(day),
        "ChargePeriodEnd": _midnight(day + timedelta(days=1)),
    }


def _midnight(day: date) -> str:
    return f"{day.isoformat()}T00:00:00Z"


def _tags(row: Row, named: Named) -> dict[str, str]:
    """Whose it is, by name and by id; what there is not has no tag."""
    tags: dict[str, str] = {}
    for kind in ("issue", "agent", "team", "project"):
        if (ref := _text(row[f"{kind}_id"])) is not None:
            tags[kind] = named.get(ref, ref)
            tags[f"{kind}_id"] = ref
    return tags


def _beside(row: Row) -> dict[str, Any]:
    """What FOCUS has no columns for."""
    return {
        "x_Position": row["position"],
        "x_CorrectsPosition": row["corrects_position"],
        "x_OccurredAt": _moment(row["at"]),
        "x_RecordedAt": _moment(row["recorded_at"]),
        "x_InputTokens": row["input_tokens"],
        "x_OutputTokens": row["output_tokens"],
        "x_CachedTokens": row["cached_tokens"],
    }


def _moment(at: datetime) -> str:
    return timestamp(at.astimezone(UTC))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
