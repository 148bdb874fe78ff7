"""Which deployment of an alias is called: by its strategy, its size, its health. Pure; randomness is an argument."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from domain.routing.model import Alias, Deployment

_MILLION = Decimal(1_000_000)


def ordered(
    alias: Alias, prompt: int, answer: int | None, p50: Mapping[str, float], draw: float, at: datetime
) -> list[Deployment]:
    """The deployments in the order in which they are tried; those that are too small for the request are left out.

    prompt, answer: tokens; an answer of None is as long as the deployment's default. p50: measured seconds by name,
    what was not measured comes first, to be. draw: in [0, 1). at: whose prices are compared. None fits: all of them,
    the provider has the last word.
    """
    fitting = [one for one in alias.deployments if fits(one, prompt, answer)]
    choices = fitting or list(alias.deployments)
    if alias.strategy == "cheapest":
        return sorted(choices, key=lambda one: price_of(one, prompt, answer, at))
    if alias.strategy == "fastest":
        return sorted(choices, key=lambda one: p50.get(one.name, 0.0))
    if alias.strategy == "weighted":
        return _drawn(choices, alias.weights, draw)
    return choices


def fits(deployment: Deployment, prompt: int, answer: int | None) -> bool:
    """Whether prompt and answer fit into its context."""
    return prompt + (answer or deployment.max_output_tokens) <= deployment.context_tokens


def pick(order: Sequence[Deployment], allows: Callable[[Deployment], bool]) -> Deployment:
    """The first that is well. Where none is, the first: whoever waits is retried as after any other failure."""
    return next((one for one in order if allows(one)), order[0])


def price_of(deployment: Deployment, prompt: int, answer: int | None, at: datetime) -> Decimal:
    """What a call that is sent at `at` costs at most, in dollars: this prompt, and the longest answer it may have."""
    price = deployment.price_at(at)
    return (prompt * price.input + (answer or deployment.max_output_tokens) * price.output) / _MILLION


def _drawn(choices: list[Deployment], weights: Mapping[str, float], draw: float) -> list[Deployment]:
    """One by weight, the others behind it in their order."""
    total = sum(weights.get(one.name, 1.0) for one in choices)
    left = draw * total
    for one in choices:
        left -= weights.get(one.name, 1.0)
        if left < 0:
            return [one, *(other for other in choices if other is not one)]
    return choices
