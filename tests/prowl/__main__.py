"""wapiti attacks the API as it is served, on the in-memory twins: `make prowl`.

Exits 1 for a fault that it finds, for operations that it did not know, and for a planted fault that it overlooks:
silence alone proves nothing.
"""

import sys
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from tests.fuzz.running import operations, served
from tests.prowl.planted import FAULTS, planted
from tests.prowl.wapiti import Prowl, ProwlFailed, prowl


def wrong(ours: Prowl, control: Prowl, wanted: Collection[str]) -> list[str]:
    """Why the run is red. `wanted` are the operations there are."""
    blind = sorted(FAULTS - control.kinds)
    return [
        *(f"{kind}: {where}" for kind, where in ours.found),
        *([f"it was told of {ours.asked} addresses, and there are {len(wanted)}"] if ours.asked < len(wanted) else []),
        *(f"it overlooks {kind}: its silence says nothing" for kind in blind),
    ]


def _ours() -> Prowl:
    with served() as (port, key):
        return prowl(port, f"Authorization: Bearer {key}")


def _control() -> Prowl:
    with planted() as port:
        return prowl(port)


def main() -> int:
    began = time.monotonic()
    with ThreadPoolExecutor() as both:
        first, second = both.submit(_ours), both.submit(_control)
        try:
            ours, control = first.result(), second.result()
        except ProwlFailed as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    seconds = time.monotonic() - began
    said = f"{ours.asked} addresses, {len(ours.found)} findings; {len(control.kinds)} kinds of planted faults found"
    print(f"wapiti: {said}, {seconds:.0f} s")
    faults = wrong(ours, control, operations())
    for one in faults:
        print(f"  {one}", file=sys.stderr)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
