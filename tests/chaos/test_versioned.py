"""Which version a process is, is said by a file."""

import os
import subprocess
import sys
from pathlib import Path

from ops.local.environment import clean
from tests.chaos.running import ROOT


def test_a_process_is_the_version_that_its_file_names_and_the_next_one_is_another(tmp_path: Path) -> None:
    for version in ("old", "new"):
        (tmp_path / version / "cli").mkdir(parents=True)
        program = f"import os, sys; print('{version}', sys.argv[1:], os.getcwd())"
        (tmp_path / version / "cli" / "__init__.py").touch()
        (tmp_path / version / "cli" / "main.py").write_text(program)
    versions = tmp_path / "versions"
    versions.mkdir()
    (versions / "default").write_text(str(tmp_path / "old"))

    def run() -> list[str]:
        command = [
            sys.executable,
            "-m",
            "tests.chaos.versioned",
            str(versions),
            "worker-1",
            "worker",
            "--stage",
            "infer",
        ]
        done = subprocess.run(
            command, cwd=ROOT, env=clean(os.environ), capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout.strip().split(" [")

    assert run()[0] == "old"
    (versions / "worker-1").write_text(str(tmp_path / "new"))
    version, rest = run()
    assert version == "new"
    assert rest == f"'worker', '--stage', 'infer'] {tmp_path / 'new'}"
