"""One session with Snowflake, on a thread of its own: its connector waits where it is called.

What it answers becomes *try later*, with a remedy: nothing here ever refuses a row.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

from connectors.alone import without
from domain.errors import InvalidSettings, MissingExtra, Unavailable

T = TypeVar("T")
SECONDS = 60
RIGHTS = "grant the role what docs/sinks.md lists, and check database and schema"
REMEDIES = {
    606: "set STRUCTURED_PROMPT_SINK_SNOWFLAKE_WAREHOUSE, and grant USAGE on the warehouse",
    2003: RIGHTS,
    2043: RIGHTS,
    3001: RIGHTS,
    90105: RIGHTS,
    90106: RIGHTS,
    250001: "check account, user, key or password, and the network",
    390100: "check user and password",
    390144: "check the private key, and that its public half is set for the user",
}
"""By Snowflake's numbers."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where and as whom. `endpoint` is that of a server for tests, http://host:port."""

    account: str
    user: str
    database: str
    schema: str
    warehouse: str | None = None
    role: str | None = None
    private_key: str | None = None
    password: str | None = None
    endpoint: str | None = None


class Snowflake:
    """For one event loop; calls are made one after the other."""

    def __init__(self, account: Account) -> None:
        """Raises MissingExtra, and InvalidSettings where the key is none."""
        try:
            # Amazon's library it takes to find out what cloud it is in, which none of our ways to sign in asks for
            with without("pandas", "pyarrow", "numpy"), without("boto3"), without("botocore"):
                import snowflake.connector
        except ImportError:
            raise MissingExtra("Snowflake", "snowflake") from None
        self._module: Any = snowflake.connector
        self._account = account
        self._given = _given(account)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="snowflake")
        self._session: Any = None

    async def open(self) -> None:
        """Raises Unavailable."""
        await self._off_the_loop(self._open)

    async def run(self, statement: str, arguments: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows. Raises Unavailable; the session is over then, since nothing is known of it."""
        return await self._off_the_loop(self._run, statement, arguments)

    async def close(self) -> None:
        await self._off_the_loop(self._close)

    async def _off_the_loop(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    # --- on its thread ---

    def _open(self) -> None:
        if self._session is None:
            try:
                self._session = self._module.connect(**self._given)
            except (self._module.Error, OSError) as error:
                raise self._unavailable(error) from None

    def _run(self, statement: str, arguments: Sequence[Any]) -> list[tuple[Any, ...]]:
        if self._session is None:
            raise Unavailable("the session with Snowflake is not open; it is opened again")
        try:
            with self._session.cursor() as cursor:
                cursor.execute(statement, tuple(arguments) or None, timeout=SECONDS)
                return list(cursor.fetchall())
        except (self._module.Error, OSError) as error:
            self._close()
            raise self._unavailable(error) from None

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except (self._module.Error, OSError):
                return

    def _unavailable(self, error: Exception) -> Unavailable:
        number = getattr(error, "errno", None)
        said = str(getattr(error, "msg", None) or type(error).__name__).replace("\n", " ")[:300]
        remedy = REMEDIES.get(number or 0, "it is asked again")
        return Unavailable(f"Snowflake account {self._account.account} answered {number}: {said}; {remedy}")


def _given(account: Account) -> dict[str, Any]:
    """What its connector takes."""
    named = {"warehouse": account.warehouse, "role": account.role}
    given: dict[str, Any] = {
        "account": account.account,
        "user": account.user,
        "database": account.database,
        "schema": account.schema,
        **{name: value for name, value in named.items() if value is not None},
        "login_timeout": SECONDS,
        "network_timeout": SECONDS,
        "session_parameters": {"QUERY_TAG": "structured-prompt"},
    }
    if account.endpoint is not None:
        place = urlsplit(account.endpoint)
        # nothing that is secret goes to a server for tests
        here = {"host": place.hostname, "port": place.port, "protocol": place.scheme, "password": "none"}
        return {**given, **here, "login_timeout": 5, "network_timeout": 5}
    if account.private_key is not None:
        return {**given, "private_key": _der(account.private_key)}
    if account.password is None:
        raise InvalidSettings("STRUCTURED_PROMPT_SINK_SNOWFLAKE_PRIVATE_KEY, or _PASSWORD: is required by this sink")
    return {**given, "password": account.password}


def _der(pem: str) -> bytes:
    from cryptography.hazmat.primitives import serialization as form

    try:
        key = form.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        raise InvalidSettings(
            "STRUCTURED_PROMPT_SINK_SNOWFLAKE_PRIVATE_KEY: is no PEM of a private key without a passphrase"
        ) from None
    return key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
