"""What one look found; doctor's files share it."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """`verdict`: ok | warn (it runs, but) | fail (it does not run). `remedy` is empty when there is nothing to do."""

    name: str
    verdict: str
    found: str
    remedy: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)
