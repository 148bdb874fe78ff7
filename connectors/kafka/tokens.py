"""Tokens for SASL OAUTHBEARER: OAuth 2.0 client credentials (RFC 6749, section 4.4), as librdkafka gets its own.

aiokafka asks for a token at every connection; one is used until a fifth of its life is left.
"""

import asyncio
import time
from collections.abc import Callable

import aiohttp
from aiokafka.abc import AbstractTokenProvider

TIMEOUT_S = 10.0
USED_SHARE = 0.8
DEFAULT_LIFE_S = 300.0
"""Of a token whose endpoint does not say how long it lives."""


class TokenRefused(ConnectionError):
    """The token endpoint gives no token; aiokafka tries the connection again, as for any that fails."""


class ClientTokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka has no types
    """Implements aiokafka's token provider. It may be asked from several event loops (Faust's consumer has its own)."""

    def __init__(
        self, url: str, client: tuple[str, str], scope: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`client`: the id and its secret."""
        self._url = url
        self._client = client
        self._scope = scope
        self._clock = clock
        self._token = ""
        self._until = float("-inf")

    async def token(self) -> str:
        """Raises TokenRefused, also where the endpoint does not answer within 10 s."""
        if self._clock() >= self._until:
            await self._renew()
        return self._token

    async def _renew(self) -> None:
        asked_at = self._clock()
        form = {"grant_type": "client_credentials"} | ({"scope": self._scope} if self._scope else {})
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                # nosemgrep: http-without-a-time-limit
                aiohttp.ClientSession(headers={"authorization": aiohttp.encode_basic_auth(*self._client)}) as session,
                session.post(self._url, data=form, allow_redirects=False) as response,
            ):
                said = await response.json(content_type=None) if response.status == 200 else {}
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise TokenRefused(f"{self._url} gives no token: {error!r}; check KAFKA_SASL_TOKEN_URL") from error
        token = said.get("access_token") if isinstance(said, dict) else None
        if not isinstance(token, str):
            raise TokenRefused(
                f"{self._url} gives no token (status {status}); check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
            )
        life = said.get("expires_in")
        self._token = token
        self._until = asked_at + USED_SHARE * (float(life) if isinstance(life, int | float) else DEFAULT_LIFE_S)
