"""The turn after an answer that broke its schema: what was said, which places are wrong, and why. Nothing else."""

from collections.abc import Sequence
from typing import Any

from domain.errors import Problem

MAX_QUOTED = 16_000
MAX_NAMED = 10


def messages(asked: list[dict[str, Any]], answer: str, problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """The messages of a re-ask. The answer is quoted up to 16,000 characters, at most 10 problems are named."""
    said = answer[:MAX_QUOTED] if answer.strip() else "(no answer)"
    return [*asked, {"role": "assistant", "content": said}, {"role": "user", "content": complaint(problems)}]


def complaint(problems: Sequence[Problem]) -> str:
    """One line a problem, each with its JSON pointer."""
    lines = [f"- {problem.path or 'the whole answer'}: {problem.message}" for problem in problems[:MAX_NAMED]]
    if len(problems) > MAX_NAMED:
        lines.append(f"- and {len(problems) - MAX_NAMED} more")
    wrong = "\n".join(lines)
    return f"That answer is not valid against the schema:\n{wrong}\nAnswer again with the whole corrected JSON only."
