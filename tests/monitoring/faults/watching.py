"""When alerts begin to fire, and when they end after what the runbook says was done."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.monitoring.faults.causes import Alert, Fault
from tests.monitoring.faults.place import SECONDS, Place


@dataclass
class Course:
    """Of one alert, in seconds of time.monotonic()."""

    fault: Fault
    alert: Alert
    begun: float | None = None
    fired: float | None = None
    mended: float | None = None
    ended: float | None = None

    def look(self, firing: Sequence[dict[str, str]]) -> None:
        fires = any(
            labels["alertname"] == self.alert.name and set(self.alert.like) <= set(labels.items()) for labels in firing
        )
        if self.begun is not None and self.fired is None and fires:
            self.fired = time.monotonic()
        elif self.fired is not None and self.mended is not None and self.ended is None and not fires:
            self.ended = time.monotonic()

    def row(self) -> str:
        fired = "did not fire" if self.begun is None or self.fired is None else f"{self.fired - self.begun:.0f} s"
        ended = "" if self.mended is None or self.fired is None else "does not end"
        if self.mended is not None and self.ended is not None:
            ended = f"{self.ended - self.mended:.0f} s"
        return f"| {self.alert.name} | {self.fault.what} | {fired} | {self.fault.mended} | {ended} |"


class Watched:
    """`lines` are faults that are caused one after the other, each line of them beside the others."""

    def __init__(self, place: Place, lines: Sequence[Sequence[Fault]]) -> None:
        self._place = place
        self._lines = lines
        self.courses = [Course(fault, alert) for line in lines for fault in line for alert in fault.alerts]
        self.troubles: list[str] = []

    def run(self, most: float) -> None:
        """Until all has fired and ended, or `most` seconds."""
        until, threads = time.monotonic() + most, ThreadPoolExecutor(32)
        working: list[Future[None]] = [threads.submit(self._cause, line) for line in self._lines]
        waiting = [fault for line in self._lines for fault in line if fault.mend is not None]
        while time.monotonic() < until and not self._is_over():
            firing = self._place.firing()
            for course in self.courses if firing is not None else ():
                course.look(firing or [])
            for fault in [one for one in waiting if self._is_due(one)]:
                waiting.remove(fault)
                working.append(threads.submit(self._mend, fault))
            time.sleep(0.5)
        threads.shutdown(wait=False, cancel_futures=True)

    def _of(self, fault: Fault) -> list[Course]:
        return [course for course in self.courses if course.fault is fault]

    def _is_due(self, fault: Fault) -> bool:
        """All that it causes fires, or will not."""
        of, now = self._of(fault), time.monotonic()
        return all(course.begun and (course.fired or now - course.begun > SECONDS) for course in of)

    def _is_over(self) -> bool:
        return all(
            course.fired is not None and (course.fault.mend is None or course.ended is not None)
            for course in self.courses
        )

    def _cause(self, line: Sequence[Fault]) -> None:
        for fault in line:
            with suppress(Exception), self._told(f"causing {fault.what}"):
                fault.cause()
                self._begin(fault)

    def _begin(self, fault: Fault) -> None:
        for course in self._of(fault):
            course.begun = time.monotonic()

    def _mend(self, fault: Fault) -> None:
        assert fault.mend is not None
        with suppress(Exception), self._told(f"mending {fault.what}"):
            fault.mend()
            for course in self._of(fault):
                course.mended = time.monotonic()

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """What goes wrong is written down, and the rest goes on."""
        print(f"{time.strftime('%X')} {doing}", flush=True)
        try:
            yield
        except Exception as error:
            self.troubles.append(f"{doing}: {error!r}")
            print(self.troubles[-1], flush=True)
            raise
