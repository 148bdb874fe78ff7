"""A line that is well but slow, one that is put off, one that is paused, and one of which nothing is left."""

import json
from collections.abc import Mapping

from tests.line.processes import TENANT, Worker, until
from tests.line.test_takeover import free_port
from tests.monitoring.faults import causes, remedies
from tests.monitoring.faults.causes import Alert, Cause, Fault
from tests.monitoring.faults.doors import ask_the_door
from tests.monitoring.faults.place import HOST, Line, Place

INFER, INTAKE, WAKE = (("worker", "--stage", stage) for stage in ("infer", "intake", "wake"))
HOURS = 10
"""Rules that are at least so many times as fast show what fires after an hour and more."""
ANSWER = {"type": "object", "properties": {"mood": {"type": "string"}}, "required": ["mood"]}


def slow(place: Place) -> list[Fault]:
    """Answers of one model take seventy seconds, those of another lack a field, and the API runs now and then."""
    line = place.line("slow")
    line.start("worker-intake-4", *INTAKE)
    line.start("worker-infer-4", *INFER, STRUCTURED_PROMPT_CALL_TIMEOUT_S="120")
    line.start("worker-wake-9", *WAKE)
    api = ask_the_door(line, "/v1/analyze/async", {"prompt": "Is it good?", "model": "smart"})
    line.keep_asking(1, lane="interactive")
    broken = {"prompt": "How is it? [[simulate: missing_field]]", "model": "smart", "output_schema": ANSWER}
    return [
        Fault("answers take seventy seconds", lambda: line.of.provide(model="small", latency_ms=70_000),
              (Alert("AnswersSlowFast"), Alert("ProviderSlow"), *of_hours(place, "AnswersSlowSlow")),
              "they take no time", line.of.provide),
        Fault("an API that runs a quarter of a second in each 1.75", lambda: causes.freeze_again_and_again(api),
              (Alert("ApiSlowFast"), *of_hours(place, "ApiSlowSlow"))),
        Fault("a field is missing in each answer of one model, once a second", lambda: line.keep_asking(1, **broken),
              (Alert("AnswersBreakSchema", (("model", "large"),)),)),
    ]  # fmt: skip


def of_hours(place: Place, name: str) -> tuple[Alert, ...]:
    return (Alert(name),) if place.faster >= HOURS else ()


def exported(place: Place) -> list[Fault]:
    """Exports into a bucket that refuses, and then orders that somebody holds."""
    line = place.line("exported")
    line.of.environ.update(_bucket(free_port()))
    process = line.start("sink-exports-1", "sink", "exports")
    ends: list[Cause] = []
    return [
        Fault("four exports into a bucket that refuses connections", lambda: _order(line, process),
              (Alert("ExportsWait"),)),
        Fault("a transaction holds the orders, which are a quarter of an hour old",
              lambda: ends.append(_hold_orders(place, line)), (Alert("ExportsOverdue"),), "the transaction ends",
              lambda: causes.let_go(ends)),
    ]  # fmt: skip


def _bucket(nobody: int) -> Mapping[str, str]:
    own = {"BUCKET": "exports", "ENDPOINT": f"http://{HOST}:{nobody}", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}
    return {f"STRUCTURED_PROMPT_EXPORT_S3_{name}": value for name, value in own.items()}


def _order(line: Line, process: Worker) -> None:
    for _ in range(4):
        json.loads(line.command("export", "create", "--tenant", TENANT, "--json"))
    until(lambda: process.metric("exports_total") > 0, 120, process.log.read_text)


def _hold_orders(place: Place, line: Line) -> Cause:
    until(lambda: any(one["alertname"] == "ExportsWait" for one in place.firing() or []), 900)
    line.execute("UPDATE export_jobs SET due_at = due_at - interval '20 minutes'")
    return line.hold("SELECT FROM export_jobs FOR UPDATE")


def paused(place: Place) -> list[Fault]:
    """Six hours are six minutes with rules that are sixty times as fast."""
    line = place.line("paused")
    rows = place.clickhouse(line)
    line.start("sink-clickhouse-3", "sink", "clickhouse", CLICKHOUSE_URL=rows.url)
    return [
        Fault("`sinks pause`", lambda: line.command("sinks", "pause", "clickhouse"), (Alert("SinkPausedLong"),),
              "`sinks resume`", lambda: remedies.resume(line))
    ]  # fmt: skip


def silent(place: Place) -> list[Fault]:
    """The only process there is: this one is measured alone."""
    line = place.line("silent")
    worker = line.start("worker-wake-10", *WAKE)
    return [
        Fault("every worker and sink is killed", lambda: causes.kill(worker), (Alert("NothingScraped"),),
              "one is started", lambda: until(line.again(worker, *WAKE).is_ready, 180, worker.log.read_text))
    ]  # fmt: skip
