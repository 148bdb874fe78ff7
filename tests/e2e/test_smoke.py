"""`make smoke`, at the stack behind Caddy: every route, and requests followed to their rows."""

import os
import subprocess
import sys

from ops.local.environment import clean
from ops.local.instance import read_state
from tests.e2e.conftest import Product
from tests.staging.conftest import caddy_or_skip


def smoke(product: Product, *more: str, key: str | None = None) -> subprocess.CompletedProcess[str]:
    env = product.env
    words = ["--url", env["PUBLIC_URL"], "--key", key or env["API_KEY"], "--ca", env["PUBLIC_CA"], *more]
    command = [sys.executable, "-m", "ops.smoke.main", *words]
    return subprocess.run(
        command, capture_output=True, text=True, env=clean(os.environ), timeout=110, check=False
    )  # fmt: skip


def redirects(product: Product) -> str:
    """The port of plain HTTP."""
    import json

    return str(json.loads((product.data / "ports.json").read_text())["http"])


def test_the_stack_behind_caddy_is_well(product: Product) -> None:
    caddy_or_skip()
    assert read_state(product.data).url == product.env["PUBLIC_URL"]
    done = smoke(product, "--http-port", redirects(product), "--env", str(product.data / "env"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "front: TLS, HTTP/2, redirect, headers, compression" in done.stdout
    assert done.stdout.count("is in ClickHouse: completed") == 2
    assert done.stdout.endswith("smoke: all is well\n")


def test_a_key_that_opens_nothing_is_said(product: Product) -> None:
    caddy_or_skip()
    done = smoke(product, "--http-port", redirects(product), "--outside", key="sp_live_nobody")
    assert done.returncode == 1
    assert "401 is not what the document describes" in done.stderr
