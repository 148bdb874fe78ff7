"""What a process says about itself. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Check:
    """One dependency or part; `detail` says what is wrong and what to do, or what is known."""

    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """ok: alive, restarting would not help (/healthz). ready: may be given work (/readyz). A dead dependency makes a
    process not ready, never not ok (rule S6)."""

    ok: bool = True
    ready: bool = True
    checks: Mapping[str, Check] = field(default_factory=dict)


def summary(health: Health) -> dict[str, object]:
    """As /healthz and /readyz show it."""
    return {
        "ok": health.ok,
        "ready": health.ready,
        "checks": {name: {"ok": check.ok, "detail": check.detail} for name, check in health.checks.items()},
    }
