"""Activity as CloudEvents 1.0, in their JSON format.

An entry is the event that it tells of: `source` is the company, `id` the event's id, so the two
together name it wherever it is read; `subject` says what it happened to, `time` when, and `data` is
the entry as `GET …/activity` shows it. `sequence` is the position, padded so that text in order is
events in order; `traceparent` is there when the command came with one (whether it was sampled is
not kept, so it never says so).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

PREFIX = "dev.issue-ledger."
"""Before the types of the log: `dev.issue-ledger.issue.created`."""

ENDED = f"{PREFIX}export.ended"
"""The type of the event that ends an export; its `data` says what was in it."""

_TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN = re.compile(r"(?!0{16})[0-9a-f]{16}")


def cloud_event(
    company_id: str, entry: Mapping[str, Any], trace: tuple[str, str] | None
) -> dict[str, Any]:
    """An entry of the activity, and the trace and span that caused it, as a CloudEvent."""
    event = {
        **_begun(company_id, entry["event_id"], PREFIX + entry["type"]),
        "subject": f"{entry['subject_type']}/{entry['subject_id']}",
        "time": entry["at"],
        "sequence": f"{entry['position']:016}",
        "data": entry,
    }
    if trace and _TRACE.fullmatch(trace[0]) and _SPAN.fullmatch(trace[1]):
        event["traceparent"] = f"00-{trace[0]}-{trace[1]}-00"
    return event


def ended(company_id: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """The event that ends an export, named by the hash of what it ends."""
    event = _begun(company_id, f"export-{about['sha256']}", ENDED)
    return {**event, "subject": "export", "data": about}


def _begun(company_id: str, event_id: str, kind: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": f"/v1/companies/{company_id}",
        "type": kind,
        "datacontenttype": "application/json",
    }
