"""What waits in this worker for a call to one deployment, and what is known of it. No I/O; seconds of one clock."""

import asyncio
from bisect import insort
from dataclasses import dataclass, field
from math import ceil

from domain.pacing.model import LANES, Ask, Grant, Heard, Mode
from domain.pacing.told import Told
from domain.routing.model import Deployment

LONGEST_S = 5.0
"""Who waits for longer does so as a row of the ledger (architecture.md)."""
KEEP_S = 4.0
"""When some would wait for longer, so many seconds' worth of calls are kept; the newest wait as rows."""
LOOK_S = 1.0
TELL_S = 0.25
VOID_S = 0.25
"""So long after a refusal there may be calls on their way to be sent that were let go before it."""
FIRST_OUTPUT = 256.0


@dataclass(order=True, slots=True)
class Ticket:
    """A call that waits; `order` is its deadline and its age. `answer`: 0.0 to go, or the seconds to wait as a row."""

    order: tuple[str, str]
    since: float = field(compare=False)
    tokens: int = field(compare=False)
    answer: "asyncio.Future[float]" = field(compare=False)


class Way:
    """The way to one deployment. `due` is when to ask for it next, `output` the usual length of its answers.

    `went` calls went without asking since the last question.
    """

    def __init__(self, deployment: Deployment, key: str, now: float) -> None:
        self.deployment = deployment
        self.mode = Mode.UNKNOWN
        self.due = now
        self.heard: list[Heard] = []
        self.output = FIRST_OUTPUT
        self.rate = 0.0
        self.went = 0
        self._key = key
        self._lanes: tuple[list[Ticket], ...] = tuple([] for _ in LANES)
        self._leaving: list[Ticket] = []
        self._told: Told | None = None
        self._told_at = self._refused_at = float("-inf")
        self._since: set[tuple[str, str]] = set()
        self._answers, self._counted_from, self._pace = 0, now, 0.0

    @property
    def waits(self) -> int:
        return sum(map(len, self._lanes))

    @property
    def busy(self) -> bool:
        """Whether there is something to ask or to tell."""
        return bool(self.heard or self._leaving or any(self._lanes))

    def ask(self, worker: str, most: int) -> Ask:
        """What to ask for now; what was heard is told with it."""
        wanted = tuple(tuple(ticket.tokens for ticket in lane[:most]) for lane in self._lanes)
        heard, self.heard = tuple(self.heard), []
        went, self.went = self.went, 0
        return Ask(self._key, worker, wanted, heard, len(self._leaving), went)

    def add(self, lane: str, ticket: Ticket, now: float) -> None:
        if not self.waits:
            self.due = now
        insort(self._lanes[LANES.index(lane)], ticket)

    def learn(self, heard: Heard, now: float) -> bool:
        """Keep what is worth telling the fleet at once; False for what is not."""
        self.count(now)
        if not heard.limited and not self._is_news(heard.told, now):
            return False
        pace = max(self._pace, float(self._answers))
        self._told, self._told_at = heard.told, now
        if heard.limited:
            self._refused(now)
            # nobody goes before the fleet's pace says so
            self.mode = Mode.FELT
        self.heard.append(Heard(heard.limited, heard.told, heard.retry_after, heard.latency, pace))
        self.due = now
        return True

    def count(self, now: float) -> None:
        """One more answer; how many a second is the first guess at a limit that is not told."""
        self._answers += 1
        if (passed := now - self._counted_from) >= 1.0:
            self._pace, self._answers, self._counted_from = self._answers / passed, 0, now

    def drop_gone(self) -> None:
        """Forget who does not wait any more."""
        for lane in self._lanes:
            if any(ticket.answer.done() for ticket in lane):
                lane[:] = [ticket for ticket in lane if not ticket.answer.done()]

    def gave(self, call: tuple[str, str], now: float) -> None:
        """That a call, named by tenant and id, was let go."""
        if now - self._refused_at < VOID_S:
            self._since.add(call)

    def void(self, call: tuple[str, str], now: float) -> bool:
        """Whether it was let go before a refusal that came since."""
        return now - self._refused_at < VOID_S and call not in self._since

    def _refused(self, now: float) -> None:
        self._refused_at = now
        self._since.clear()

    def hand_on(self) -> None:
        """Let the first that waits go with a token that was not used."""
        self.drop_gone()
        for lane in self._lanes:
            if lane:
                _decide(lane.pop(0), 0.0)
                return

    def granted(self, grant: Grant, now: float) -> int:
        """Let those go that may, and those wait as rows that would wait for too long; how many that are."""
        if grant.rate > 0 and self.rate == 0:
            # another worker's call was refused
            self._refused(now)
        leaving, self._leaving = self._leaving, []
        for place, ticket in enumerate(leaving):
            _decide(ticket, max(grant.back + (place / grant.rate if grant.rate > 0 else 0.0), 0.001))
        for lane, count in zip(self._lanes, grant.calls, strict=True):
            for ticket in lane[:count]:
                _decide(ticket, 0.0)
            del lane[:count]
        self.mode = grant.mode
        self.due = now + (min(grant.again, LOOK_S) if self.waits else LOOK_S)
        self._send_away(self.waits if grant.again > LONGEST_S else self._too_many(grant, now))
        if self._leaving:
            self.due = now
        return len(leaving)

    def _is_news(self, told: Told | None, now: float) -> bool:
        if self.mode is Mode.UNKNOWN:
            return True
        lately = now - self._told_at < TELL_S
        if told is None:
            return self.mode is Mode.TOLD and not lately
        return self.mode is not Mode.TOLD or not lately or _limits(told) != _limits(self._told)

    def _too_many(self, grant: Grant, now: float) -> int:
        """How many of ours would wait for longer than they may."""
        late = sum(now - ticket.since > LONGEST_S for lane in self._lanes for ticket in lane)
        mine = self.waits
        if grant.rate <= 0 or not mine:
            return late
        share = grant.rate * mine / max(mine, grant.queue)
        if mine <= LONGEST_S * share:
            return late
        return max(late, mine - max(1, ceil(KEEP_S * share)))

    def _send_away(self, count: int) -> None:
        """The newest of the last lanes; when they come back is asked for next."""
        for lane in reversed(self._lanes):
            first = len(lane) - min(len(lane), count - len(self._leaving))
            self._leaving[:0] = lane[first:]
            del lane[first:]


def _decide(ticket: Ticket, answer: float) -> None:
    if not ticket.answer.done():
        ticket.answer.set_result(answer)


def _limits(told: Told | None) -> tuple[float | None, float | None]:
    requests, tokens = (told.requests, told.tokens) if told else (None, None)
    return (requests.limit if requests else None, tokens.limit if tokens else None)
