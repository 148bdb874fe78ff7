"""Do the providers take their keys? The part of `doctor` that asks those who sell answers, for what costs nothing."""

from collections.abc import Mapping

from connectors.catalog import catalogue
from connectors.llm.keys import troubles
from domain.errors import InvalidSettings, Permanent
from domain.settings import Settings

from .check import Check

PATIENCE_S = 6.0


async def ask(settings: Settings, environ: Mapping[str, str]) -> list[Check]:
    """A check of each provider that refuses its key or does not answer; none where nobody can be asked."""
    try:
        deployments = catalogue(settings, environ).deployments
    except InvalidSettings:  # the models' own check says why
        return []
    found = await troubles(deployments, PATIENCE_S)
    return [_check(provider, trouble, settings) for provider, trouble in found.items()]


def _check(provider: str, trouble: Exception, settings: Settings) -> Check:
    if not isinstance(trouble, Permanent):
        # others may take over, and it may come back by itself
        return Check(provider, "warn", str(trouble), "look at its status page, and whether this machine may reach it")
    key = f"the key_env of {provider} in {settings.models}" if settings.models else f"{provider.upper()}_API_KEY"
    return Check(provider, "fail", str(trouble), f"export {key}=..., a key from {provider}'s console")
