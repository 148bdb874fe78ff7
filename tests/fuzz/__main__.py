"""Schemathesis asks the served API whatever its OpenAPI document allows, and what it does not.

`python -m tests.fuzz --cases 1000` (`make fuzz`): so many cases an operation, on the in-memory twins, and as many
sequences of operations that lead to one another. Each operation has a server of its own, `--jobs` of them are asked at
the same time, and what came of each is kept in `--keep`: a run that was interrupted goes on where it was. Exits 1 when
an answer is a 5xx, has a status, type, header or body that the document does not know, takes more than five seconds, or
does not come; also when an operation was not asked at all. Where an operation takes nothing but its address, there are
fewer cases to make than were wished.
"""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.fuzz.outcome import Outcome, kept, table
from tests.fuzz.running import EVERYTHING, SEQUENCES, Wish, ask, operations

ALONE = "examples,coverage,fuzzing"


def fuzz(wish: Wish) -> Outcome:
    """Every operation in one go, of one server."""
    outcome = ask(wish, EVERYTHING)
    whole = outcome.asked == len(operations())
    return outcome if whole else outcome.but("not every operation was asked: nothing is proven")


def fuzz_each(wish: Wish, sequences: Wish, directory: Path, jobs: int) -> list[Outcome]:
    """`jobs` operations at a time, but those that `directory` knows the outcome of; the sequences take longest."""
    parts = [(SEQUENCES, sequences), *((name, wish) for name in operations())]
    with ThreadPoolExecutor(jobs) as pool:
        asked = [pool.submit(_once, wanted, name, directory) for name, wanted in parts]
        for number, one in enumerate(as_completed(asked), 1):
            print(f"{number}/{len(parts)} {one.result()}", flush=True)
    return [one.result() for one in asked]


def _once(wish: Wish, name: str, directory: Path) -> Outcome:
    if (known := kept(directory, name)) is not None:
        return known
    outcome = ask(wish, name)
    outcome = outcome if outcome.asked else outcome.but("it was not asked: nothing is proven")
    outcome.keep(directory)
    return outcome


def main(arguments: argparse.Namespace) -> int:
    wish = Wish(arguments.cases, ALONE, arguments.seed)
    sequences = Wish(arguments.cases, "stateful", arguments.seed)
    arguments.keep.mkdir(parents=True, exist_ok=True)
    outcomes = fuzz_each(wish, sequences, arguments.keep, arguments.jobs)
    print(table(outcomes))
    return int(any(outcome.findings for outcome in outcomes))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="operations at a time")
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="remove it to begin anew")
    sys.exit(main(parser.parse_args()))
