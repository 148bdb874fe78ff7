"""Three lines of processes, each with the faults that it stands."""

import sys

from ops.local.monitoring import HOST
from tests.chaos.proxy import Faults as Breaker
from tests.line.processes import Worker, until
from tests.line.test_takeover import free_port
from tests.monitoring.faults import causes, remedies
from tests.monitoring.faults.causes import Alert, Cause, Fault
from tests.monitoring.faults.doors import ask_the_door
from tests.monitoring.faults.place import Line, Place, program
from tests.monitoring.faults.rows import Rows
from tests.monitoring.faults.slow import INFER, INTAKE, WAKE, of_hours

CLICKHOUSE = ("sink", "clickhouse")
FAT = ("-c", "held = bytearray(b'x') * (600 << 20); from cli.main import run; run()")
"""The command line, with six hundred megabytes more than it needs."""


def people(place: Place, receiver: str) -> list[Fault]:
    """A line with sinks, whose ClickHouse and whose cache can be taken away."""
    line = place.line("people")
    rows, around, breaker = _proxied(place, line)
    causes.subscribe(line, "wh_well", f"{receiver}/well")
    causes.subscribe(line, "wh_dead", f"{receiver}/status/500")  # of which DeliveriesOverdue is no alert
    line.start("worker-intake-1", *INTAKE, REDIS_URL=around["redis"])
    line.start("worker-infer-1", *INFER, REDIS_URL=around["redis"])
    line.start("worker-wake-1", *WAKE)
    spare, late, full, fat = (line.start(f"worker-wake-{number}", *WAKE) for number in (2, 3, 4, 8))
    sink = line.start("sink-clickhouse-1", *CLICKHOUSE, CLICKHOUSE_URL=around["clickhouse"])
    hooks = line.start("sink-destinations-1", "sink", "destinations", STRUCTURED_PROMPT_WEBHOOK_ALLOW="127.0.0.0/8")
    line.command("tenants", "create", "spender")
    line.keep_asking(5)
    return [
        _refused(line, rows, sink),
        Fault("an endpoint that answers 410",
              lambda: causes.subscribe(line, "wh_gone", f"{receiver}/status/410"), (Alert("WebhooksDisabled"),)),
        Fault("a worker is killed", lambda: causes.kill(spare), (Alert("ProcessDown", at(spare)),),
              "the worker is started", lambda: ready(line.again(spare, *WAKE))),
        Fault("a worker that runs a quarter of a second in each 1.75",
              lambda: causes.freeze_again_and_again(late), (Alert("EventLoopLate", at(late)),)),
        Fault("a limit that is what is open", lambda: causes.few_descriptors(full),
              (Alert("FileDescriptorsEnd", at(full)),), "the worker is started with the limit as it was",
              lambda: ready(line.again(full, *WAKE))),
        _fat(line, fat),
        Fault("a budget of a hundredth of a cent", lambda: causes.use_up_a_budget(line), (Alert("BudgetUsedUp"),),
              "`budgets create … --replace`: its requests are answered", lambda: remedies.raise_budget(line)),
        Fault("fifty calls of a quarter of a dollar", lambda: _spent(line), (Alert("SpendJumps"),),
              "`budgets create`, `tenants limit`: the next are rejected",
              lambda: remedies.bound_spending(line, "spender")),
        _overdue(line, hooks),
        Fault("the workers' Redis refuses connections", lambda: breaker.enter("redis", "refuse"),
              (Alert("CacheErrors"),), "Redis is back", lambda: breaker.enter("redis", "pass")),
        _cut(line, rows, breaker),
    ]  # fmt: skip


def _proxied(place: Place, line: Line) -> tuple[Rows, dict[str, str], Breaker]:
    """Its database, the addresses through the proxy, and the proxy's control."""
    rows, proxy, control = place.clickhouse(line), {name: free_port() for name in ("clickhouse", "redis")}, free_port()
    real = {"clickhouse": rows.url, "redis": line.of.environ["REDIS_URL"]}
    words = [f"{name}={proxy[name]}:{port_of(url)}" for name, url in real.items()]
    command = [sys.executable, "-m", "tests.chaos.proxy", "--control", str(control), *words]
    place.stack.enter_context(program(command, line.of.directory / "proxy"))
    around = {name: url.replace(f":{port_of(url)}/", f":{proxy[name]}/") for name, url in real.items()}
    return rows, around, Breaker(control)


def _refused(line: Line, rows: Rows, sink: Worker) -> Fault:
    def refuse() -> None:
        rows.execute("ALTER TABLE calls ADD CONSTRAINT never CHECK length(tenant) > 1000")

    return Fault(
        "a constraint of ClickHouse that no row meets", refuse, (Alert("SinkRefuses"),),
        "the constraint goes; `sinks replay`: the rows are there",
        lambda: remedies.take_again(line, rows, sink.metric("sink_refused_total")),
    )  # fmt: skip


def _fat(line: Line, worker: Worker) -> Fault:
    found: list[Worker] = []
    return Fault(
        "a worker that holds 600 MB", lambda: found.append(line.again(worker, *WAKE, program=FAT)),
        (Alert("MemoryGrows", at(worker)),), "the worker is started anew", lambda: ready(line.again(found[0], *WAKE)),
    )  # fmt: skip


def _spent(line: Line) -> None:
    line.of.results(causes.spend(line, "spender", 50), 120)


def _overdue(line: Line, hooks: Worker) -> Fault:
    ends: list[Cause] = []

    def hold() -> None:
        until(lambda: hooks.metric("webhooks_disabled_total") > 0, 120, hooks.log.read_text)
        ends.append(line.hold("SELECT FROM delivery_lanes FOR UPDATE"))

    return Fault(
        "a transaction holds the lanes of deliveries", hold, (Alert("DeliveriesOverdue"),),
        "the transaction ends", lambda: causes.let_go(ends),
    )  # fmt: skip


def _cut(line: Line, rows: Rows, breaker: Breaker) -> Fault:
    def cut() -> None:
        until(lambda: rows.count("calls") > 0 and not _constrained(rows), 600)
        breaker.enter("clickhouse", "refuse")

    def mend() -> None:
        breaker.enter("clickhouse", "pass")
        line.command("sinks", "pause", "clickhouse")
        remedies.resume(line)

    sink, topic = (("sink", "clickhouse"),), (("topic", "prompt.results"),)
    return Fault(
        "ClickHouse refuses connections, with five requests a second", cut,
        (Alert("SinkErrors", sink), Alert("SinkBehind", sink), Alert("ConsumerLagGrows", topic)),
        "ClickHouse is back; `sinks resume` after a pause", mend,
    )  # fmt: skip


def _constrained(rows: Rows) -> bool:
    where = "FROM system.tables WHERE database = currentDatabase() AND name = 'calls'"
    return "CONSTRAINT never" in rows.ask(f"SELECT create_table_query AS it {where}")


def locked(place: Place) -> list[Fault]:
    """A line whose PostgreSQL answers, but not for the tables that are locked."""
    line = place.line("locked")
    for name, words in (("worker-intake-2", INTAKE), ("worker-infer-2", INFER)):
        line.supervise(line.start(name, *words), *words)
    ask_the_door(line, "/v1/jobs/none")  # a job that there is not
    line.keep_asking(20)
    ends: list[Cause] = []

    def mend() -> None:
        causes.let_go(ends)
        line.start("worker-intake-9", *INTAKE)

    stage, process = (("stage", "intake"),), (("process", "worker-intake"),)
    alerts = Alert("DependencyAway", stage), Alert("StageStuck", process), Alert("LeasesFail"), Alert("ApiErrorsFast")
    alerts += of_hours(place, "ApiErrorsSlow")
    lock = "LOCK TABLE claims, workers IN ACCESS EXCLUSIVE MODE"
    what = "a transaction locks the tables of claims and workers, with twenty requests a second"
    return [
        Fault(what, lambda: ends.append(line.hold(lock)), alerts, "the transaction ends; a second intake worker", mend)
    ]


def provided(place: Place) -> list[Fault]:
    """A line whose provider fails, and whose bill loses rows."""
    line = place.line("provided")
    rows = place.clickhouse(line)
    line.start("worker-intake-3", *INTAKE)
    infer = line.start("worker-infer-3", *INFER)
    line.start("worker-wake-6", *WAKE)
    again = line.start("worker-wake-7", *WAKE)
    line.start("sink-clickhouse-2", *CLICKHOUSE, CLICKHOUSE_URL=rows.url)
    line.keep_asking(2)
    asked: list[str] = []
    return [
        _lost(line, rows),
        Fault("thirty requests of a tenant that there is not",
              lambda: asked.extend(causes.strangers(line, "late")),
              (Alert("DeadLettersRise", (("code", "unknown_tenant"),)),),
              "`tenants create`, `dead-letters redrive`: all are answered",
              lambda: remedies.redrive_strangers(line, "late", asked)),
        Fault("a worker is killed with sixty calls under way",
              lambda: causes.die_with_calls(line, infer, *INFER), (Alert("WorkersDie"), Alert("PaidTwice"))),
        Fault("a worker is killed and started five times",
              lambda: causes.restart(line, again, *WAKE), (Alert("ProcessRestarts", at(again)),)),
        Fault("the provider answers 500", lambda: line.of.provide(failure="error_500"),
              (Alert("ProviderDown"), Alert("ProviderErrors"), Alert("RequestsFailFast"),
               *of_hours(place, "RequestsFailSlow")),
              "it answers; `dead-letters redrive`: no letter is left", lambda: remedies.redrive_failed(line)),
        _waiting(line),
    ]  # fmt: skip


def _lost(line: Line, rows: Rows) -> Fault:
    gone: list[int] = []

    def lose() -> None:
        gone.append(rows.count("calls"))
        rows.execute("TRUNCATE TABLE calls")

    return Fault(
        "rows of the bill are deleted", lose, (Alert("LedgerIsNotBill"),),
        "`sinks replay`: the rows are there", lambda: remedies.carry_bill_again(line, rows, gone[0]),
    )  # fmt: skip


def _waiting(line: Line) -> Fault:
    ends: list[Cause] = []

    def hold() -> None:
        until(lambda: line.waiting() > 10, 240)
        ends.append(line.hold("SELECT FROM waiting FOR UPDATE"))

    return Fault(
        "a transaction holds requests that wait", hold, (Alert("WaitingOverdue"),),
        "the transaction ends", lambda: causes.let_go(ends),
    )  # fmt: skip


def ready(worker: Worker) -> None:
    until(worker.is_ready, 180, worker.log.read_text)


def at(worker: Worker) -> tuple[tuple[str, str], ...]:
    return (("instance", f"{HOST}:{worker.port}"),)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])
