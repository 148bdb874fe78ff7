"""Whether a deployment is well enough to be called: a circuit breaker. Pure; times are seconds of one clock.

It opens when in the last seconds more calls failed than were answered, and when answers that used to take less than a
second do not come for five. While it is open one call goes every five seconds; an answer closes it.
"""

import math
from dataclasses import dataclass

HALF_LIFE_S = 2.0
ENOUGH = 2.5
"""Failures, each worth half after HALF_LIFE_S: four of them within four seconds."""
QUIET_S = 5.0
PROMPT_S = 1.0
FEW = 3
PROBE_EVERY_S = 5.0


@dataclass(slots=True)
class Breaker:
    """State of one deployment in one worker. `good` and `bad` are answers and failures of late, as of `at`.

    `opened` is when it opened, None while it is closed; `probe` allows one call meanwhile, `probed` was the last.
    `heard` is when the last call ended, or when calls began after a pause; `latency` is what an answer takes.
    """

    good: float = 0.0
    bad: float = 0.0
    at: float = 0.0
    in_flight: int = 0
    heard: float = 0.0
    latency: float | None = None
    opened: float | None = None
    probe: bool = False
    probed: float = 0.0
    answers: int = 0
    failures: int = 0

    def allows(self) -> bool:
        """Whether a call may go; the one that may go while it is open goes by asking."""
        if self.opened is None:
            return True
        allowed, self.probe = self.probe, False
        return allowed

    def sent(self, now: float) -> None:
        if self.in_flight == 0:
            self.heard = now
        self.in_flight += 1

    def most_in_flight(self, now: float, slots: int) -> int:
        """How many calls it may hold of a worker's slots: twice what its answers need (rate x latency, Little's law).

        Never less than half of all, so that a load may grow; one that hangs answers nothing and leaves the other half.
        """
        rate = self.good * 0.5 ** (max(0.0, now - self.at) / HALF_LIFE_S) * math.log(2) / HALF_LIFE_S
        return max(slots // 2, min(slots, int(2 * rate * (self.latency or 0.0))))

    def answered(self, now: float, seconds: float) -> None:
        """It answered after so many seconds, whatever the answer is worth."""
        self._end(now)
        self.good += 1
        self.answers += 1
        self.latency = seconds if self.latency is None else self.latency + (seconds - self.latency) * 0.1
        if self.opened is not None:
            self.close()

    def failed(self, now: float, ours: bool) -> None:
        """It did not answer; `ours` where that says nothing of its health (a refusal for a limit, a bad request)."""
        self._end(now)
        if ours:
            return
        self.bad += 1
        self.failures += 1
        if self.opened is None and self.bad >= ENOUGH and self.bad > self.good:
            self.open(now)

    def look(self, now: float) -> None:
        """Open it when nobody is heard; while it is open, let one call go every five seconds."""
        used_to_be_prompt = self.latency is not None and self.latency <= PROMPT_S
        if self.opened is None and used_to_be_prompt and self.in_flight >= FEW and now - self.heard >= QUIET_S:
            self.open(now)

    def may_probe(self, now: float) -> bool:
        """Whether it is time for the next call of an open one."""
        return self.opened is not None and not self.probe and now - self.probed >= PROBE_EVERY_S

    def let_one_go(self, now: float) -> None:
        self.probe, self.probed = True, now

    def open(self, now: float) -> None:
        self.opened, self.probed, self.probe = now, now, False

    def close(self) -> None:
        self.opened, self.probe, self.bad = None, False, 0.0

    def _end(self, now: float) -> None:
        self.in_flight = max(0, self.in_flight - 1)
        faded = 0.5 ** (max(0.0, now - self.at) / HALF_LIFE_S)
        self.good, self.bad, self.at, self.heard = self.good * faded, self.bad * faded, now, now
