"""Which request of the Postman collection tells the ids that others need, and in which order they are sent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """`operation` answers with the id, `at` this place of its JSON; it is kept as `variable` of the collection."""

    operation: str
    at: str
    variable: str


SENT: Mapping[str, frozenset[str]] = {"delete_cache": frozenset({"template"})}
"""Parameters that may be left out, but not all of them."""
IDS: Mapping[str, Told] = {
    "/v1/dead-letters/{letter}": Told("list_dead_letters", "items.0.letter", "letter"),
    "/v1/schemas/{name}": Told("add_schema", "name", "schema"),
    "/v1/schemas/{name}/versions/{version}": Told("add_schema", "version", "schema_version"),
    "/v1/budgets/{name}": Told("create_budget", "name", "budget"),
    "/v1/webhooks/{id}": Told("create_webhook", "id", "webhook"),
    "/v1/webhooks/{id}/deliveries/{delivery}": Told("test_webhook", "delivery_id", "webhook_delivery"),
    "/v1/destinations/{id}": Told("create_destination", "id", "destination"),
    "/v1/destinations/{id}/deliveries/{delivery}": Told("test_destination", "delivery_id", "destination_delivery"),
    "/v1/destinations/hooks/{id}": Told("subscribe_hook", "id", "hook"),
    "/v1/limits/plans/{name}": Told("put_plan", "name", "plan"),
    "/v1/exports/{id}": Told("list_exports", "items.0.id", "export_job"),
    "/v1/exports/schedules/{name}": Told("schedule_exports", "name", "schedule"),
    "/v1/sinks/{name}": Told("list_sinks", "items.0.name", "sink"),
}

"""Not of keys: the one that is listed may be the caller's own, and a key with limits of its own may not lift them."""


def told(path: str, parameter: str) -> Told | None:
    """Who tells this parameter of the path; None where its example is sent."""
    variable = "{" + parameter + "}"
    return IDS.get(path.partition(variable)[0] + variable)


def keeping(operation: str) -> Iterator[str]:
    """Lines of JavaScript that keep what the operation's answer tells."""
    for one in IDS.values():
        if one.operation == operation:
            yield f'const {one.variable} = pm.response.code < 300 && _.get(pm.response.json(), "{one.at}");'
            yield f'if ({one.variable}) pm.collectionVariables.set("{one.variable}", {one.variable});'


def order(path: str, verb: str, index: int) -> tuple[int, int]:
    """In a folder: lists and what makes things, what is done with them, a look at them, and last their removal.

    Removals go backwards, so that what is needed by another thing outlives it.
    """
    if verb == "delete":
        return 3, -index
    variables = path.count("{")
    if variables == 0:
        return 0, index
    return (2 if verb == "get" or variables > 1 else 1), index
