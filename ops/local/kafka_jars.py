"""Kafka's jars: fetched once from Maven Central into the user's cache, checked against the hashes beside this file.

`python -m ops.local.kafka_jars [CACHE]` fetches what is not there yet. It is a process of its own, so that the
resolver's memory is given back, and so that `make install` can call it.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .program import StackError

VERSION = "4.1.0"
COORDINATES = f"org.apache.kafka:kafka_2.13:{VERSION}+org.slf4j:slf4j-simple:1.7.36"
HASHES = Path(__file__).with_name("kafka_jars.sha256")


def default_cache() -> Path:
    """Shared by every data directory of the user."""
    return Path.home() / ".cache" / "structured-prompt"


def jars_of(cache: Path) -> Path:
    return cache / f"kafka-{VERSION}"


def fetched_jars(cache: Path) -> Path:
    """The directory with the jars, fetched first if need be (45 MB, once). Raises StackError without a network."""
    target = jars_of(cache)
    if not target.is_dir():
        print(f"fetching Apache Kafka {VERSION} from Maven Central (45 MB, once) …", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "ops.local.kafka_jars", str(cache)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            raise StackError(f"Kafka's jars cannot be fetched: {reason[0]}; check the network, then try again")
    return target


def fetch(cache: Path) -> None:
    """Resolve, download, check and put in place in one rename (two that fetch at once do not meet)."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix="fetching-") as name:
        scratch = Path(name)
        jars = scratch / "jars"
        jars.mkdir()
        for jar in _download(scratch):
            shutil.copy(jar, jars / jar.name)
        _check(jars)
        target = jars_of(cache)
        try:
            jars.rename(target)
        except OSError:
            if not target.is_dir():
                raise


def _download(scratch: Path) -> list[Path]:
    os.environ["M2_REPO"] = str(scratch / "m2")
    import jgo
    from jgo.maven import PythonResolver

    environment = jgo.build(COORDINATES, cache_dir=scratch / "jgo", resolver=PythonResolver())
    return sorted(environment.path.rglob("*.jar"))


def _check(jars: Path) -> None:
    wanted = {name: digest for digest, name in (line.split() for line in HASHES.read_text().splitlines())}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in jars.iterdir()}
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if wrong:
        raise StackError(f"jars that are not the known ones: {', '.join(wrong)}")


if __name__ == "__main__":
    wanted = Path(sys.argv[1]) if len(sys.argv) > 1 else default_cache()
    if not jars_of(wanted).is_dir():
        fetch(wanted)
