"""Schemathesis asks the served API whatever its OpenAPI document allows, and what it does not.

`python -m tests.fuzz --cases 1000` (`make fuzz`): so many cases an operation, on the in-memory twins, and as many
sequences of operations that lead to one another. Each operation has a server of its own, and what came of it is kept in
`--keep`: a run that was interrupted goes on where it was. Exits 1 when an answer is a 5xx, has a status, type, header
or body that the document does not know, takes more than five seconds, or does not come; also when an operation was
not asked at all. Where an operation takes nothing but its address, there are fewer cases to make than were wished.
"""

import argparse
import sys
from pathlib import Path

from tests.fuzz.outcome import Outcome, kept, table
from tests.fuzz.running import EVERYTHING, SEQUENCES, Wish, ask, operations

ALONE = "examples,coverage,fuzzing"


def fuzz(wish: Wish) -> Outcome:
    """Every operation in one go, of one server."""
    outcome = ask(wish, EVERYTHING)
    whole = outcome.asked == len(operations())
    return outcome if whole else outcome.but("not every operation was asked: nothing is proven")


def fuzz_each(wish: Wish, sequences: Wish, directory: Path) -> list[Outcome]:
    """One operation after the other, but those that `directory` knows the outcome of."""
    parts = [(name, wish) for name in operations()] + [(SEQUENCES, sequences)]
    outcomes = []
    for number, (name, wanted) in enumerate(parts, 1):
        outcome = kept(directory, name) or _once(wanted, name)
        outcome.keep(directory)
        outcomes.append(outcome)
        print(f"{number}/{len(parts)} {outcome}", flush=True)
    return outcomes


def _once(wish: Wish, name: str) -> Outcome:
    outcome = ask(wish, name)
    return outcome if outcome.asked else outcome.but("it was not asked: nothing is proven")


def main(arguments: argparse.Namespace) -> int:
    wish = Wish(arguments.cases, ALONE, arguments.seed)
    sequences = Wish(arguments.cases, "stateful", arguments.seed)
    arguments.keep.mkdir(parents=True, exist_ok=True)
    outcomes = fuzz_each(wish, sequences, arguments.keep)
    print(table(outcomes))
    return int(any(outcome.findings for outcome in outcomes))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="remove it to begin anew")
    sys.exit(main(parser.parse_args()))
