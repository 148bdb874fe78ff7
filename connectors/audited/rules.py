"""Everything that leaves a row of the audit log, on one screen: by port and method."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.audited import looking
from connectors.audited.recording import Call, Changes, Given, Rule, missing, never
from domain.letters.model import Redriven, Republish, Rerun
from domain.ports import Trail
from domain.trail.model import SERVICE, Change
from domain.webhooks.model import TEST
from topics.base import format_time

Rules = Mapping[str, Rule]


def _by(*names: str) -> Callable[[Given], tuple[str, str]]:
    """The tenant and the id, under these names of arguments."""
    tenant, id = names
    return lambda given: (given[tenant], given[id])


def _at(argument: str, id: str) -> Callable[[Given], tuple[str, str]]:
    """The tenant and the id of an argument that is the object itself."""
    return lambda given: (given[argument].tenant, getattr(given[argument], id))


def _whole(id: Callable[[Given], str]) -> Callable[[Given], tuple[str, str]]:
    """Of the service as a whole."""
    return lambda given: (SERVICE, id(given))


_KEY = _by("tenant", "id")
_NAMED = _by("tenant", "name")
_TENANT = _by("name", "name")


class Redrives:
    """Letters that are started again together leave one row for each tenant: which, and nothing of what they say."""

    async def run(self, call: Call, trail: Trail) -> Any:
        async with trail.together("") as write:
            answers = await call.make()
            for tenant, begun in _begun(call.given["batch"], answers).items():
                one = begun[0]["letter"] if len(begun) == 1 else ""
                await write(Change(tenant, "dead_letter.redrive", "dead_letter", one, None, {"letters": begun}))
        return answers


def _begun(batch: Sequence[Rerun | Republish], answers: Sequence[Any]) -> Mapping[str, list[dict[str, Any]]]:
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for plan, answer in zip(batch, answers, strict=True):
        if answer is Redriven.STARTED:
            run = {"id": plan.id, "run": plan.run + 1} if isinstance(plan, Rerun) else {"id": None, "run": None}
            found[plan.tenant or SERVICE].append({"letter": plan.letter, **run})
    return found


ACCOUNTS: Rules = {
    "create_tenant": Changes("tenant", "tenant.create", lambda given: (given["tenant"].name,) * 2, looking.tenant),
    "limit_tenant": Changes("tenant", "tenant.limit", _TENANT, looking.tenant),
    "put_plan": Changes("plan", "plan.put", _whole(lambda given: given["plan"].name), looking.plan, failed=never),
    "delete_plan": Changes("plan", "plan.delete", _whole(lambda given: given["name"]), looking.plan),
    "create_key": Changes("key", "key.create", _at("key", "id"), looking.key, failed=never),
    "limit_key": Changes("key", "key.limit", _KEY, looking.key),
    "revoke_key": Changes("key", "key.revoke", _KEY, looking.key),
}
BUDGETS: Rules = {
    "put": Changes("budget", "budget.put", _at("budget", "name"), looking.budget, failed=never),
    "delete": Changes("budget", "budget.delete", _NAMED, looking.budget),
}
ENDPOINTS: Rules = {
    "add": Changes("destination", "destination.create", _at("endpoint", "id"), looking.endpoint, failed=never),
    "change": Changes("destination", "destination.change", _KEY, looking.endpoint, failed=missing),
    "rotate": Changes("destination", "destination.rotate", _KEY, looking.endpoint, failed=missing),
    "delete": Changes("destination", "destination.delete", _KEY, looking.endpoint),
}
RESENT = Changes(
    "destination", "destination.redeliver", _by("tenant", "endpoint"), said=lambda given, _: {"delivery": given["id"]}
)


class Resends:
    """What is sent again; not a test event, which is sent into a bucket so."""

    async def run(self, call: Call, trail: Trail) -> Any:
        one = await call.port.get(call.given["tenant"], call.given["endpoint"], call.given["id"])
        is_test = one is not None and one.type == TEST
        return await (call.make() if is_test else RESENT.run(call, trail))


DELIVERIES: Rules = {
    "again": Resends(),
    "again_all": Changes(
        "destination", "destination.redeliver", _by("tenant", "endpoint"),
        said=lambda given, answer: {"since": format_time(given["since"]), "deliveries": answer[0]},
        failed=lambda answer: not answer[0],
    ),
}  # fmt: skip
EXPORT_JOBS: Rules = {
    "add": Changes("export", "export.create", _at("job", "id"), looking.job),
    "cancel": Changes("export", "export.cancel", _KEY, looking.job),
}
EXPORT_SCHEDULES: Rules = {
    "create": Changes("export_schedule", "export_schedule.create", _at("schedule", "name"), looking.schedule),
    "pause": Changes(
        "export_schedule", lambda given: f"export_schedule.{'resume' if given['at'] is None else 'pause'}", _NAMED,
        looking.schedule,
    ),
    "delete": Changes("export_schedule", "export_schedule.delete", _NAMED, looking.schedule),
}  # fmt: skip
SINKS: Rules = {
    "pause": Changes(
        "sink", lambda given: f"sink.{'pause' if given['paused'] else 'resume'}", _whole(lambda given: given["sink"]),
        looking.sink,
    ),
    "replay": Changes("sink", "sink.replay", _whole(lambda given: given["sink"]), looking.sink, failed=missing),
}  # fmt: skip
SOURCES: Rules = {
    "put": Changes("source", "source.put", _whole(lambda given: given["source"].name), looking.source, failed=never),
    "delete": Changes("source", "source.delete", _whole(lambda given: given["name"]), looking.source),
}
SCHEMAS: Rules = {
    "add": Changes(
        "schema", "schema.add", _at("version", "name"), looking.schema,
        said=lambda given, _: {"version": given["version"].version, "digest": given["version"].digest},
    ),
    "set_compatibility": Changes("schema", "schema.change", _NAMED, looking.schema),
}  # fmt: skip
LETTERS: Rules = {"rerun": Redrives(), "republish": Redrives()}
