"""Do providers take their keys? Asked by the list of models, which costs nothing and which each of them has."""

import asyncio
from collections.abc import Iterable

import aiohttp

from connectors.llm.direct import DIALECTS
from domain.errors import Permanent, StructuredPromptError, Unavailable
from domain.routing.model import Deployment

_REFUSED = (401, 403)


async def troubles(deployments: Iterable[Deployment], timeout_s: float) -> dict[str, StructuredPromptError]:
    """What is wrong with whom, by provider: Permanent where it refuses the key, Unavailable where it does not answer.

    Any other status is an answer: some have no such list. Deployments through LiteLLM are left out.
    """
    ways = {(d.provider, d.base_url, d.api_key): d for d in deployments if d.dialect in DIALECTS}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s), trust_env=False) as session:
        found = await asyncio.gather(*(_trouble(session, deployment) for deployment in ways.values()))
    pairs = zip(ways.values(), found, strict=True)
    return {deployment.provider: trouble for deployment, trouble in pairs if trouble is not None}


async def _trouble(session: aiohttp.ClientSession, deployment: Deployment) -> StructuredPromptError | None:
    head = {**DIALECTS[deployment.dialect].headers(deployment.api_key), **deployment.headers}
    try:
        async with session.get(f"{deployment.base_url}/models", headers=head, allow_redirects=False) as response:
            status = response.status
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return Unavailable(f"{deployment.provider} does not answer ({type(error).__name__})")
    return Permanent(f"{deployment.provider} refuses its key ({status})") if status in _REFUSED else None
