"""What was asked, on the in-memory store."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date

from connectors.memory.store import MemoryStore, Request
from domain.caching.asked import Asked
from topics.call import PromptCall


class MemoryQuestions:
    """Implements domain.ports.Questions over a MemoryStore."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def most_asked(self, tenant: str, since: date, template: str | None, limit: int) -> list[Asked]:
        times: Counter[str] = Counter()
        newest: dict[str, Request] = {}
        for row, question in self._questions(tenant, since, template):
            times[question] += 1
            if question not in newest or row.claimed_at >= newest[question].claimed_at:
                newest[question] = row
        most = sorted(times.items(), key=lambda entry: (-entry[1], entry[0]))
        return [Asked(question, count, newest[question].source) for question, count in most[:limit]]

    def _questions(self, tenant: str, since: date, template: str | None) -> Iterator[tuple[Request, str]]:
        for row in self._store.requests.values():
            if row.tenant != tenant or row.id.startswith("warm-") or row.claimed_at.astimezone(UTC).date() < since:
                continue
            for raw in row.calls.values():
                call = PromptCall.decode(raw)
                wanted = template is None or (call.template or {}).get("name") == template
                if call.cache_key is not None and wanted:
                    yield row, call.cache_key.rpartition(":")[2].partition(".")[0]
