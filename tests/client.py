"""An HTTP client for tests: one API key of one company, real requests, nothing hidden."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiohttp
import orjson
from multidict import CIMultiDictProxy


class Reply(NamedTuple):
    """Status, headers and parsed body of an answer; `json` is None for none."""

    status: int
    headers: CIMultiDictProxy[str]
    json: Any


@dataclass(frozen=True, slots=True)
class Client:
    """Paths beginning with `/` are the server's, others are below the company's."""

    http: aiohttp.ClientSession
    base_url: str
    company: str
    key: str | None
    actor: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    async def request(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Sends a request; `bytes` are sent as they are, anything else as JSON.

        Header names are given with `_` for `-`.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key is not None:
            sent.setdefault("Authorization", f"Bearer {self.key}")
        data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        below = f"/v1/companies/{self.company}"
        url = self.base_url + (
            path if path.startswith("/") else f"{below}/{path}" if path else below
        )
        async with self.http.request(method, url, data=data, headers=sent) as response:
            raw = await response.read()
            is_json = response.content_type.endswith(("/json", "+json"))
            return Reply(
                response.status, response.headers, orjson.loads(raw) if raw and is_json else None
            )

    async def get(self, path: str, **headers: str) -> Reply:
        """A GET."""
        return await self.request("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Reply:
        """A POST."""
        return await self.request("POST", path, body, **headers)

    async def patch(self, path: str, body: Any = None, **headers: str) -> Reply:
        """A PATCH."""
        return await self.request("PATCH", path, body, **headers)

    async def delete(self, path: str, **headers: str) -> Reply:
        """A DELETE."""
        return await self.request("DELETE", path, **headers)
