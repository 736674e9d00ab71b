"""The shop's REST API as its callers see it. Raises Unavailable when the shop or its database is away, Declined for its 4xx answers."""

from typing import Any, Self

import httpx

from infra.errors import Refused, Unavailable

PAGE = 1000


class Declined(Refused):
    """The shop answered no, with its HTTP status: 404 unknown, 409 not possible any more, 422 malformed."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class ShopApi:
    """A shop at a base URL, over one kept-alive connection; for one thread."""

    def __init__(self, url: str, timeout_seconds: float = 10) -> None:
        self._url = url.rstrip("/")
        # The environment's proxies are not for the shop.
        self._client = httpx.Client(base_url=self._url, timeout=timeout_seconds, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The shop's answer to one request, decoded; None if it has no content."""
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise Unavailable(f"the shop at {self._url} does not answer: {error or type(error).__name__}", "see ./kappa logs shop") from error
        if answer.is_success:
            return answer.json() if answer.content else None
        what = f"the shop at {self._url}: {method} {path}: {answer.status_code} {_reason(answer)}"
        if answer.status_code >= 500:
            raise Unavailable(what, "see ./kappa logs shop")
        raise Declined(what, answer.status_code)

    def listed(self, path: str, at_most: int, **filters: str) -> list[dict[str, Any]]:
        """The first rows of a list such as `/users`, page by page."""
        rows: list[dict[str, Any]] = []
        while len(rows) < at_most:
            limit = min(PAGE, at_most - len(rows))
            query = httpx.QueryParams(limit=limit, offset=len(rows), **filters)
            page = self.send("GET", f"{path}?{query}")
            rows += page
            if len(page) < limit:
                break
        return rows


def _reason(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return answer.text[:200]
    return str(body.get("detail", body) if isinstance(body, dict) else body)
