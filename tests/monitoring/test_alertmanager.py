"""Alerts reach people: the routes that ship, in a real Alertmanager, before receivers on this machine."""

import asyncio
import email
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from .receiver import Receiver

PATIENCE_S = 90.0
SECRETS = ("smtp_password", "opsgenie_key", "pagerduty_key")


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


def page(alert: str) -> str:
    """Where `make site` puts the runbook."""
    return f"https://docs.example.com/runbooks/{alert}.html"


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
    """It chooses its port itself: one that was looked for before may be somebody's until it listens."""
    program = tool("prometheus-alertmanager", "alertmanager")
    config, log = tmp_path / "notify.yml", tmp_path / "log"
    config.write_text(here((root / "ops/alertmanager/notify.yml").read_text(), tmp_path, receiver))
    words = [program, f"--config.file={config}", f"--storage.path={tmp_path}", "--web.listen-address=127.0.0.1:0"]
    with log.open("wb") as told:
        process = subprocess.Popen([*words, "--cluster.listen-address="], stdout=told, stderr=told)
    try:
        async with httpx.AsyncClient(base_url=await address(process, log), timeout=PATIENCE_S) as client:
            await until(lambda: answers(client), log)
            yield client
    finally:
        process.kill()  # nothing of it is looked at after this, so that nobody waits for what it would still send
        process.wait()


async def address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    """Where it listens, as its log tells."""

    def found() -> list[str]:
        assert process.poll() is None, log.read_text()
        return re.findall(r'"Listening on" address=(127[.0-9]+:[0-9]+)', log.read_text())

    await until(found, log)
    return f"http://{found()[0]}"


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/-/ready")).status_code == 200
    except httpx.HTTPError:
        return False


async def until(happened: Callable[[], Any], log: Path | None = None) -> None:
    """Also on a machine that is busy with other tests. `log` says why it did not happen."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = happened()
                if await found if asyncio.iscoroutine(found) else found:
                    return
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"not within {PATIENCE_S:g} s: {log.read_text() if log else happened}")


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
    assert bodies["/pagerduty"]["links"] == [{"text": "what to do", "href": page("ProcessDown")}]
    assert bodies["/opsgenie/v2/alerts"]["priority"] == "P1"
    assert page("ProcessDown") in bodies["/opsgenie/v2/alerts"]["description"]
    assert bodies["/slack"]["attachments"][0]["text"] == f"ProcessDown happened. What to do: {page('ProcessDown')}\n"
    assert receiver.mails == []


async def test_a_ticket_reaches_the_channel_and_the_mail(alertmanager: httpx.AsyncClient, receiver: Receiver) -> None:
    await raised(alertmanager, "SpendJumps", "ticket")
    await until(lambda: receiver.mails and receiver.paths())
    assert receiver.paths() == {"/slack"}
    mail = email.message_from_string(receiver.mails[0])
    [part] = mail.get_payload()
    told = part.get_payload(decode=True).decode()
    assert mail["Subject"] == "FIRING SpendJumps"
    assert re.match(r"FIRING since \d{4}-\d\d-\d\d \d\d:\d\d UTC: SpendJumps happened[.]\r?\n", told)
    assert f"What to do: {page('SpendJumps')}" in told


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
