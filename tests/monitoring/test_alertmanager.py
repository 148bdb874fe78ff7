"""Alerts reach people: the routes that ship, in a real Alertmanager, before receivers on this machine."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from .receiver import Receiver

SECRETS = ("smtp_password", "opsgenie_key", "pagerduty_key")


def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def here(config: str, folder: Path, receiver: Receiver) -> str:
    """The file that ships, with other addresses: no mail server of this test wants a password or TLS."""
    for name in SECRETS:
        (folder / name).write_text("a-secret-for-tests-0123456789abcdef")
    url = f"http://127.0.0.1:{receiver.http_port}"
    (folder / "slack_url").write_text(f"{url}/slack")
    parsed: dict[str, Any] = yaml.safe_load(config.replace("/etc/alertmanager/secrets", str(folder)))
    told = parsed["global"]
    told |= {"smtp_smarthost": f"127.0.0.1:{receiver.smtp_port}", "smtp_require_tls": False}
    told |= {"pagerduty_url": f"{url}/pagerduty", "opsgenie_api_url": f"{url}/opsgenie/"}
    del told["smtp_auth_username"], told["smtp_auth_password_file"]
    parsed["route"]["group_wait"] = "0s"
    return yaml.safe_dump(parsed)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    await found.start()
    yield found
    await found.stop()


@pytest.fixture
async def alertmanager(
    root: Path, tmp_path: Path, receiver: Receiver, tool: Callable[..., str]
) -> AsyncIterator[httpx.AsyncClient]:
    program = tool("prometheus-alertmanager", "alertmanager")
    port, config = free_port(), tmp_path / "notify.yml"
    config.write_text(here((root / "ops/alertmanager/notify.yml").read_text(), tmp_path, receiver))
    words = [program, f"--config.file={config}", f"--storage.path={tmp_path}", f"--web.listen-address=127.0.0.1:{port}"]
    process = subprocess.Popen(
        [*words, "--cluster.listen-address="], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await until(lambda: answers(client))
            yield client
    finally:
        process.terminate()
        process.wait(10)


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/-/ready")).status_code == 200
    except httpx.HTTPError:
        return False


async def until(happened: Callable[[], Any], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while True:
            found = happened()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.05)


async def raised(client: httpx.AsyncClient, alert: str, severity: str) -> None:
    labels = {"alertname": alert, "severity": severity}
    annotations = {"summary": f"{alert} happened.", "runbook_url": f"docs/runbooks/{alert}.md"}
    answer = await client.post("/api/v2/alerts", json=[{"labels": labels, "annotations": annotations}])
    assert answer.status_code == 200, answer.text


async def test_a_page_reaches_whoever_is_on_call_and_the_channel(
    alertmanager: httpx.AsyncClient, receiver: Receiver
) -> None:
    await raised(alertmanager, "ProcessDown", "page")
    await until(lambda: receiver.paths() == {"/pagerduty", "/opsgenie/v2/alerts", "/slack"})
    bodies = {path: body for path, _, body in receiver.posts}
    assert bodies["/pagerduty"]["payload"]["summary"] == "ProcessDown: ProcessDown happened."
    assert bodies["/pagerduty"]["payload"]["custom_details"]["runbook"] == "docs/runbooks/ProcessDown.md"
    assert bodies["/opsgenie/v2/alerts"]["priority"] == "P1"
    assert "docs/runbooks/ProcessDown.md" in bodies["/slack"]["attachments"][0]["text"]
    assert receiver.mails == []


async def test_a_ticket_reaches_the_channel_and_the_mail(alertmanager: httpx.AsyncClient, receiver: Receiver) -> None:
    await raised(alertmanager, "SpendJumps", "ticket")
    await until(lambda: receiver.mails and receiver.paths())
    assert receiver.paths() == {"/slack"}
    assert "SpendJumps" in receiver.mails[0]


def test_amtool_finds_both_configurations_valid(root: Path, tool: Callable[..., str]) -> None:
    for name in ("quiet.yml", "notify.yml"):
        words = [tool("amtool"), "check-config", f"ops/alertmanager/{name}"]
        done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_no_secret_stands_in_a_configuration(root: Path) -> None:
    for path in (root / "ops/alertmanager").glob("*.yml"):
        for line in path.read_text().splitlines():
            name = line.strip().lstrip("- ").split(":")[0]
            assert not name.endswith(("_key", "_password", "_url")) or name.endswith("runbook_url"), (path.name, line)
