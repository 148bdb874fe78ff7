"""Google's REST interfaces, with the credentials of a service account or of the machine.

What they answer becomes *try later*, with a remedy: nothing here ever refuses a row.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from domain.errors import InvalidSettings, MissingExtra, Unavailable

TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=5)


class Answered(Unavailable):
    """It answered, with an error. `status` is HTTP's, `reason` is Google's own short word for it."""

    def __init__(self, message: str, status: int, reason: str, retry_after: float | None) -> None:
        super().__init__(message, retry_after)
        self.status = status
        self.reason = reason


class Access:
    """For one event loop.

    key:       the JSON of a service account's key; without it Application Default Credentials
    scopes:    what the token is for
    endpoint:  where the interface is; one without TLS is somebody's test server and gets no token
    remedies:  what to do, by HTTP status
    """

    def __init__(
        self, endpoint: str, key: str | None, scopes: Sequence[str], extra: str, remedies: Mapping[int, str]
    ) -> None:
        """Raises MissingExtra, and InvalidSettings where the key is none."""
        self._endpoint = endpoint.rstrip("/")
        self._remedies = remedies
        self._session: aiohttp.ClientSession | None = None
        self._host = urlsplit(endpoint).netloc
        self.credentials = None if endpoint.startswith("http://") else _credentials(key, scopes, extra)

    async def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON. Raises Answered, Unavailable."""
        session = self._live()
        given = {"Content-Type": "application/json", **(headers or {}), **await self._authorization()}
        data = None if body is None else orjson.dumps(body)
        try:
            async with session.request(method, self._endpoint + path, data=data, headers=given) as answer:
                text = await answer.read()
                if answer.status >= 300:
                    raise self._refusal(answer, text)
                return orjson.loads(text) if text.strip() else {}
        except (aiohttp.ClientError, OSError, TimeoutError, orjson.JSONDecodeError) as error:
            raise Unavailable(f"{self._host} does not answer: {type(error).__name__}; check the network") from error

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _authorization(self) -> dict[str, str]:
        if self.credentials is None:
            return {}
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request

        if not self.credentials.valid:
            try:
                await asyncio.to_thread(self.credentials.refresh, Request())
            except GoogleAuthError as error:
                remedy = "check the service account's key, and the clock of this machine"
                raise Unavailable(f"Google gives no token: {type(error).__name__}; {remedy}") from None
        return {"Authorization": f"Bearer {self.credentials.token}"}

    def _refusal(self, answer: aiohttp.ClientResponse, text: bytes) -> Answered:
        said, reason = _said(text)
        remedy = self._remedies.get(answer.status, "see what it says")
        wait = answer.headers.get("Retry-After", "")
        message = f"{self._host} answered {answer.status} {reason}: {said}; {remedy}"
        return Answered(message, answer.status, reason, float(wait) if wait.isdigit() else None)

    def _live(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        return self._session


def _said(text: bytes) -> tuple[str, str]:
    """(message, reason) of an error as all of Google's interfaces write it."""
    try:
        error = orjson.loads(text)["error"]
        details = error.get("errors") or [{}]
        return str(error.get("message", ""))[:300], str(details[0].get("reason") or error.get("status") or "")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return "", ""


def _credentials(key: str | None, scopes: Sequence[str], extra: str) -> Any:
    try:
        from google.oauth2 import service_account
    except ImportError:
        raise MissingExtra("Google", extra) from None
    if key is None:
        return _of_the_machine(scopes)
    try:
        made: Any = service_account.Credentials
        return made.from_service_account_info(orjson.loads(key), scopes=list(scopes))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # what it says may hold a part of the key
        raise InvalidSettings(
            f"the credentials are no key of a service account ({type(error).__name__}): give the JSON file that "
            "Google Cloud made, as it is"
        ) from None


def _of_the_machine(scopes: Sequence[str]) -> Any:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        return google.auth.default(scopes=list(scopes))[0]
    except DefaultCredentialsError:
        raise InvalidSettings(
            "there are no credentials for Google: give the key of a service account, or set "
            "GOOGLE_APPLICATION_CREDENTIALS, or run where a service account is attached"
        ) from None
