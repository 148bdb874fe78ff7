"""Every metric, once: the closed list that code counts with, operators read and dashboards draw.

On the wire each name gets the prefix `structured_prompt_`, and counters end in `_total`. Labels are few and of low
cardinality: never a tenant, a request or a key, those are questions for ClickHouse. Times are seconds.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

PREFIX = "structured_prompt_"

# from half a millisecond, a Redis call, to two minutes, the longest a client may wait
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)


class Metrics(Protocol):
    """Where a process counts. A name or a label that METRICS does not declare raises ValueError."""

    def count(self, name: str, n: float = 1, /, **labels: str) -> None:
        """Add `n` >= 0 to a counter."""
        ...

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Put a value into a histogram."""
        ...

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        ...


@dataclass(frozen=True, slots=True)
class Metric:
    """A row of the list. `buckets` are the upper bounds of a histogram."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def wire_name(self) -> str:
        """As Prometheus shows it; histograms add _bucket, _sum and _count."""
        return PREFIX + self.name + ("_total" if self.kind == "counter" else "")


def _counter(name: str, help: str, *labels: str) -> Metric:
    return Metric(name, "counter", help, labels)


def _gauge(name: str, help: str, *labels: str) -> Metric:
    return Metric(name, "gauge", help, labels)


def _seconds(name: str, help: str, *labels: str) -> Metric:
    return Metric(name, "histogram", help, labels, SECONDS)


def _sizes(name: str, help: str, *labels: str) -> Metric:
    return Metric(name, "histogram", help, labels, SIZES)


_LIST = (
    # the stages: stage is intake, infer, wake or the name of a sink
    _counter("events_in", "Records a stage took from its topics.", "stage"),
    _counter("events_out", "Records a stage produced and the broker acknowledged.", "stage", "topic"),
    _counter("tombstones", "Records without a value, which are ignored.", "stage"),
    _seconds("stage_seconds", "From taking a record to its end in this stage.", "stage"),
    _gauge("in_flight", "Records taken and not finished.", "stage"),
    # what a replica has not read yet; lag is counted from delivered events (rule S1)
    _gauge("consumer_lag", "Records on a partition that its consumer has not finished.", "topic", "partition"),
    _counter("partition_pauses", "Times a partition was paused because its run-ahead was full (rule S3).", "stage"),
    _counter("dependency_waits", "Times a stage waited for a dependency that did not answer.", "stage"),
    _counter("dead_letters", "Records buried on prompt.dead-letters, by error code.", "stage", "code"),
    # natural batches (rule L17): verb is the ledger's or the connector's
    _sizes("batch_size", "Rows of one batch.", "stage", "verb"),
    _seconds("batch_seconds", "Time of one batch.", "stage", "verb"),
    # requests
    _counter("requests_settled", "Final transitions won; code is empty when completed.", "stage", "status", "code"),
    _counter("chunks_lost", "Pieces of streamed text that could not be sent; they come with the result."),
    _seconds("request_seconds", "From submission to the final transition.", "lane"),
    _counter("requests_parked", "Requests put into waiting, by reason.", "stage", "reason"),
    _counter("requests_woken", "Waiting requests that were due and went back to their lane.", "lane"),
    _counter("fenced", "Settlements refused because another worker had taken the request over (rule L11).", "stage"),
    _counter("replies_lost", "Replies that could not be sent; who waits looks into the ledger."),
    # found is stray, unemitted, overdue or in_flight (its place was not given back); more than a few mean that workers
    # die (rule L15)
    _counter("requests_found", "Requests the sweeper had to carry on.", "found"),
    _gauge("waiting_overdue_seconds", "By how much the earliest waiting request is late."),
    _gauge("waiting", "Requests that wait, by reason; every wake process tells the same.", "reason"),
    _counter("letters_republished", "Records of dead letters that were published again."),
    # outcome is passed, waits (until a time), queued (until a place is free) or rejected
    _counter("limit_decisions", "Answers of the rate limiter.", "outcome"),
    # outcome is hit, miss or early: found, and asked anew because it ends soon
    _counter("cache_lookups", "Exact cache look-ups.", "outcome"),
    # outcome is hit, checked (called for all the same, to compare), early, miss, unlike (too far apart) or trouble
    _counter("similar_lookups", "Semantic cache look-ups.", "outcome"),
    # outcome is agreed or wrong
    _counter("similar_checks", "Hits of the semantic cache that were compared with a call.", "template", "outcome"),
    _counter("requests_coalesced", "Requests that were given the answer to an identical one, asked at the same time."),
    _counter("changes_heard", "Messages of prompt.control; known says whether they were about the cache.", "known"),
    _counter("cache_errors", "Cache calls that Redis did not answer: a miss, or an answer that is not kept."),
    # providers
    _counter("provider_calls", "Provider attempts by outcome of UsageRecord.", "provider", "model", "outcome"),
    _gauge(
        "pace", "Calls a second that a deployment allows the fleet, 0 where it names no limit.", "provider", "model"
    ),
    _counter("failovers", "Failed calls that another deployment of the alias took over at once.", "provider", "model"),
    # won is first, second or neither
    _counter("hedges", "Second calls made beside a slow one, by which of the two was the answer.", "won"),
    _counter("spillovers", "Calls that went to another deployment since theirs was at its limit.", "provider", "model"),
    _gauge("provider_down", "1 while a deployment is given no calls but one every 5 s.", "provider", "model"),
    # outcome is passed or waits (for more than 5 s, as a row); calls to deployments without a limit are not counted
    _counter("paced_calls", "Calls that asked for a token of a deployment's limit.", "outcome"),
    _counter("calls_repeated", "Calls made though nobody heard of the outcome of the one before: perhaps paid twice."),
    _seconds("provider_seconds", "Time of a provider attempt.", "provider", "model"),
    _counter("re_asks", "Answers asked again because they broke their schema or were cut.", "model"),
    # move is syntax (no call), re_ask, escalate or more_tokens
    _counter("repairs", "What was done about answers that were not valid.", "move", "model"),
    # kind is input, output, cached_input, cache_write or reasoning; the last three are parts of the first two
    _counter("tokens", "Tokens billed.", "provider", "model", "kind"),
    _counter("cost_usd", "US dollars of provider attempts.", "provider", "model"),
    # what requests refer to; outcome is read, refused or later
    _counter("documents", "Documents that requests refer to.", "outcome"),
    _counter("document_bytes", "Bytes of documents that were read."),
    # money (rule L12); mark is 50, 80 or 100 per cent of a budget
    _counter("budget_entries", "Ended attempts of requests with a budget that were booked."),
    _counter("budget_marks", "Marks that budgets reached, once a budget and period.", "mark"),
    # the audit: what the ledger says of ended attempts against the rows of ClickHouse
    _counter("ledger_bill_compared", "Attempts of the ledger that were looked for on the bill."),
    _gauge("ledger_bill_differing", "Attempts that are not on the bill, or with another price, as far as looked at."),
    _gauge("ledger_bill_usd", "US dollars by which these differ."),
    # the ledger; outcome is renewed, failed or fenced
    _counter("lease_renewals", "Renewals of this worker's lease (rule L6).", "outcome"),
    # sinks
    _counter("sink_rows", "Rows a sink made durable.", "sink", "topic"),
    _counter("sink_refused", "Rows a destination will never take.", "sink", "topic"),
    _counter("sink_errors", "Writes that failed and are tried again.", "sink"),
    _gauge("sink_age_seconds", "Log time of the newest row written, as an age.", "sink"),
    _gauge(
        "sink_oldest_seconds", "Age of the oldest record in hand that is not durable; 0 when there is none.", "sink"
    ),
    _gauge("sink_waiting_seconds", "Since when a sink waits for what it needs, as an age; 0 when it does not.", "sink"),
    _gauge("sink_paused", "1 while an operator keeps the sink paused.", "sink"),
    # deliveries to tenants; outcome is delivered, retried, exhausted (the last attempt failed), gone (410) or dropped
    # (the endpoint was disabled or removed meanwhile)
    _counter("deliveries", "Attempts to deliver to a webhook.", "outcome"),
    _seconds("delivery_seconds", "From the first step of an attempt to the head of its answer, or to giving it up."),
    _gauge("deliveries_waiting", "Deliveries in the queue, retries included; counted up to 100,000."),
    _gauge(
        "delivery_overdue_seconds",
        "By how much the delivery that is due longest is late, of those whose receiver is not the reason.",
    ),
    _counter(
        "deliveries_given_up", "Deliveries given up because too many waited for a destination that accepts nothing."
    ),
    _counter("webhooks_disabled", "Endpoints disabled because they were gone or accepted nothing for five days."),
    # exports into a bucket; outcome is completed, failed, waits (tried again later) or lost (cancelled, or another's)
    _counter("exports", "Turns at an export into a bucket.", "outcome"),
    _counter("export_bytes", "Bytes of exports that are durable in the bucket."),
    _gauge("exports_unfinished", "Exports that are not over."),
    _gauge("export_overdue_seconds", "By how much the export that is due longest is late."),
    # the door; route is the template of the path
    _counter("http_requests", "Requests answered.", "method", "route", "status"),
    _seconds("http_seconds", "Time to answer.", "method", "route"),
    _gauge("http_waiters", "Synchronous requests that wait for their result."),
    # how a waiter learnt of its result: reply, ledger or timeout
    _counter("http_wakes", "Ends of a synchronous wait.", "how"),
    _counter("jobs_republished", "Submitted jobs that had to be produced again (rule D1)."),
    # the process
    _gauge("loop_lag_seconds", "How late the event loop ran a timer."),
    _gauge("loop_tasks", "Tasks of the event loop; ever more of them under a steady load are a leak."),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _LIST}


def declared(name: str, kind: str, labels: frozenset[str]) -> Metric:
    """The metric, if it is declared with this kind and exactly these labels. Raises ValueError."""
    metric = METRICS.get(name)
    if metric is None:
        raise ValueError(f"metric {name!r} is not declared; add it to domain/metrics.py")
    if metric.kind != kind or frozenset(metric.labels) != labels:
        raise ValueError(
            f"metric {name!r} is a {metric.kind} with the labels {sorted(metric.labels)}, "
            f"not a {kind} with {sorted(labels)}; domain/metrics.py is the list"
        )
    return metric
