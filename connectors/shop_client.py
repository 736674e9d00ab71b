"""A client of the shop's REST API.

Raises Unavailable when the shop or its database does not answer, Declined for 4xx responses.
"""

from typing import Any, Self

import httpx

from schemas.errors import Refused, Unavailable

PAGE = 1000


class Declined(Refused):
    """A refusal by the shop, with its HTTP status: 404 unknown, 409 no longer possible, 422
    malformed.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ShopApi:
    """The shop at a base URL, over one persistent connection; for one thread."""

    def __init__(self, url: str, timeout_seconds: float = 10) -> None:
        self._url = url.rstrip("/")
        # The environment's proxies are not for the shop.
        self._client = httpx.Client(
            base_url=self._url, timeout=timeout_seconds, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the decoded response to a request, None if it has no content.

        Raises Unavailable, Declined.
        """
        try:
            response = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"the shop at {self._url} does not answer: {error or type(error).__name__}",
                "see ./kappa logs shop",
            ) from error
        if response.is_success:
            return response.json() if response.content else None
        status = response.status_code
        message = f"the shop at {self._url}: {method} {path}: {status} {_reason(response)}"
        if status >= 500:
            raise Unavailable(message, "see ./kappa logs shop")
        raise Declined(message, status)

    def list_rows(self, path: str, limit: int, **filters: str) -> list[dict[str, Any]]:
        """Return the first rows of a list such as `/users`, read page by page.

        Raises Unavailable, Declined.
        """
        rows: list[dict[str, Any]] = []
        while len(rows) < limit:
            page_rows = min(PAGE, limit - len(rows))
            query = httpx.QueryParams(limit=page_rows, offset=len(rows), **filters)
            page = self.send("GET", f"{path}?{query}")
            rows += page
            if len(page) < page_rows:
                break
        return rows


def _reason(response: httpx.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return response.text[:200]
    if isinstance(body, dict):
        return str(body.get("detail", body))
    return str(body)
