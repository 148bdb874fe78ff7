"""What the simulated provider is told to do, and what it counted.

A setting for all models (`model` null) also replaces that setting where it was narrowed to one model before: the last
word counts. Within `latency_ms` and `malformed`, too, what is not named stays.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ops.local.provider.limits import Bucket
from ops.local.provider.malformed import KINDS

TELLS = ("limits", "retry_after", "nothing")
FAILURES = ("none", "error_500", "rate_limited", "hang", "refuse_connection")


class BadControl(ValueError):
    """A control that is not understood; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds; uniform between mean - jitter and mean + jitter, the jitter never more than the mean."""

    mean: float = 0
    jitter: float = 0


@dataclass(frozen=True, slots=True)
class Malformed:
    """Which share of requests is answered badly, in which ways, and whether only until they are asked again."""

    share: float = 0
    kinds: tuple[str, ...] = KINDS
    until_reasked: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """How the provider behaves towards one model.

    tells: what its headers say of its limits: all, of refused calls when to come again, or nothing.
    """

    latency_ms: Latency = Latency()
    requests_per_second: float | None = None
    tokens_per_minute: float | None = None
    tells: str = "limits"
    failure: str = "none"
    malformed: Malformed = Malformed()


@dataclass(slots=True)
class Counters:
    """What reached the provider. `calls` are all of them; those still under way are in none of the three outcomes.

    `bill_by_request` gives for each request the calls that were charged, and their input and output tokens.
    """

    calls: int = 0
    ok: int = 0
    rate_limited: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    calls_by_request: dict[str, int] = field(default_factory=dict)
    bill_by_request: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    _limits: dict[str, int] = field(default_factory=dict)

    def limit(self, request_id: str | None, max_tokens: int | None) -> int | None:
        """The `max_tokens` of the request's first call that named one."""
        if request_id is None or max_tokens is None:
            return max_tokens
        return self._limits.setdefault(request_id, max_tokens)

    def arrive(self, request_id: str | None) -> int:
        """Counts a call; returns how many calls of this request there are now (1 when it names none)."""
        self.calls += 1
        if request_id is None:
            return 1
        self.calls_by_request[request_id] = seen = self.calls_by_request.get(request_id, 0) + 1
        return seen

    def charge(self, request_id: str | None, input_tokens: int, output_tokens: int) -> None:
        """Counts an answer that is about to be sent."""
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens
        if request_id is not None:
            calls, read, written = self.bill_by_request.get(request_id, (0, 0, 0))
            self.bill_by_request[request_id] = (calls + 1, read + input_tokens, written + output_tokens)


class Control:
    """The settings of all models, their rate-limit buckets and the counters."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Back to the start: no latency, no limits, no failures, counters at 0."""
        self.counters = Counters()
        self._all = Settings()
        self._narrowed: dict[str, dict[str, Any]] = {}
        self._effective: dict[str | None, Settings] = {}
        self._buckets: dict[tuple[str | None, str], Bucket] = {}

    def settings(self, model: str | None) -> Settings:
        """What holds for `model` (None: for models that nothing was narrowed to)."""
        if model not in self._narrowed:
            return self._all
        if model not in self._effective:
            self._effective[model] = replace(self._all, **self._narrowed[model])
        return self._effective[model]

    def apply(self, change: Any) -> Settings:
        """Merges a control body into the settings; returns what holds now for its model. Raises BadControl."""
        if not isinstance(change, dict):
            raise BadControl("A control is a JSON object.")
        model = change.get("model")
        if model is not None and not isinstance(model, str):
            raise BadControl("`model` must be the name of a model, or null for all of them.")
        new = {name: _read(name, value, self.settings(model)) for name, value in change.items() if name != "model"}
        if model is None:
            self._all = replace(self._all, **new)
        else:
            self._narrowed.setdefault(model, {}).update(new)
        for scope in [model] if model is not None else [None, *self._narrowed]:
            for name in new:
                self._buckets.pop((scope, name), None)
                if model is None and scope is not None:
                    self._narrowed[scope].pop(name, None)
        self._effective.clear()
        return self.settings(model)

    def bucket(self, model: str, name: str) -> Bucket | None:
        """The bucket of a limit ("requests_per_second" or "tokens_per_minute") that `model` draws from, if limited.

        Models share the bucket of a limit that was set for all of them.
        """
        limit = getattr(self.settings(model), name)
        if limit is None:
            return None
        scope = model if name in self._narrowed.get(model, {}) else None
        found = self._buckets.get((scope, name))
        if found is None:
            rate = limit / 60 if name == "tokens_per_minute" else limit
            found = self._buckets[scope, name] = Bucket(max(1, limit), rate, self._clock())
        return found


def described(settings: Settings) -> dict[str, Any]:
    """The settings as the JSON that sets them."""
    return asdict(settings)


def _read(name: str, value: Any, now: Settings) -> Any:
    """One setting's new value, checked."""
    match name:
        case "latency_ms":
            return _latency(value, now.latency_ms)
        case "requests_per_second" | "tokens_per_minute":
            return None if value is None else _number(name, value, least=1e-3)
        case "failure":
            return _one_of(name, value, FAILURES)
        case "tells":
            return _one_of(name, value, TELLS)
        case "malformed":
            return _malformed(value, now.malformed)
        case _:
            names = ", ".join(("model", *Settings.__dataclass_fields__))
            raise BadControl(f"There is no control {name!r}; there are {names}.")


def _one_of(name: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise BadControl(f"`{name}` must be one of {', '.join(known)}; it is {value!r}.")
    return str(value)


def _latency(value: Any, now: Latency) -> Latency:
    if value is None:
        return Latency()
    if isinstance(value, dict):
        _known("latency_ms", value, Latency)
        return replace(now, **{name: _number(f"latency_ms.{name}", one, least=0) for name, one in value.items()})
    return Latency(_number("latency_ms", value, least=0))


def _malformed(value: Any, now: Malformed) -> Malformed:
    if value is None:
        return Malformed()
    if not isinstance(value, dict):
        raise BadControl("`malformed` must be an object or null.")
    _known("malformed", value, Malformed)
    kinds = value.get("kinds", now.kinds)
    if not isinstance(kinds, (list, tuple)) or not kinds or any(kind not in KINDS for kind in kinds):
        raise BadControl(f"`malformed.kinds` must name at least one of {', '.join(KINDS)}.")
    share = _number("malformed.share", value.get("share", now.share), least=0)
    reasked = value.get("until_reasked", now.until_reasked)
    if share > 1 or not isinstance(reasked, bool):
        raise BadControl("`malformed.share` is from 0 to 1, `malformed.until_reasked` true or false.")
    return Malformed(share, tuple(kinds), reasked)


def _known(name: str, value: dict[str, Any], kind: type[Latency] | type[Malformed]) -> None:
    if unknown := value.keys() - kind.__dataclass_fields__.keys():
        raise BadControl(f"`{name}` has no {', '.join(sorted(unknown))}.")


def _number(name: str, value: Any, *, least: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < least:
        raise BadControl(f"`{name}` must be a number of at least {least:g}; it is {value!r}.")
    return value
