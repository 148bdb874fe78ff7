"""The guide for AWS, typed as it stands, with AWS' own client where there is one, against an emulation."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

GUIDE = Path(__file__).parents[2] / "docs/deploy-aws.md"
BEFORE = """
aws ec2 create-key-pair --key-name KEY
ZONE=$(aws route53 create-hosted-zone --name example.com --caller-reference 1 --query HostedZone.Id --output text)
"""
AFTER = """
aws ec2 describe-addresses --query 'Addresses[].[InstanceId,PublicIp]' --output text
aws ec2 describe-instances --query 'Reservations[].Instances[].[InstanceId,State.Name]' --output text
aws ec2 describe-security-groups --group-names staging --output text \\
  --query 'SecurityGroups[].IpPermissions[].[IpProtocol,FromPort,IpRanges[0].CidrIp]'
aws route53 list-resource-record-sets --hosted-zone-id $ZONE --output text \\
  --query 'ResourceRecordSets[?Type==`A`].[Name,ResourceRecords[0].Value]'
"""


@pytest.fixture
def cloud() -> Iterator[dict[str, str]]:
    """The environment of a shell that reaches it."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    yield {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "mine",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    server.stop()


def typed(page: str) -> str:
    """The block from the security group to the last line, which is ssh's."""
    block = re.search(r"(?:^    .*\n)*^    aws ec2 create-security-group(?:.*\n    )*(?=ssh admin)", page, re.MULTILINE)
    assert block
    lines = re.sub(r"^    ", "", block[0], flags=re.MULTILINE)
    return lines.replace("YOUR.ADDRESS", "198.51.100.7").replace(" ZONE ", " $ZONE ")


@pytest.mark.skipif(shutil.which("aws") is None, reason="AWS' client is not here: pip install awscli")
def test_a_machine_with_an_address_a_name_and_three_open_ports_comes_of_it(cloud: dict[str, str]) -> None:
    script = BEFORE + typed(GUIDE.read_text()) + "\necho ---\n" + AFTER
    done = subprocess.run(
        ["bash", "-euc", script], env=cloud, capture_output=True, text=True, timeout=110, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [line.split() for line in done.stdout.partition("---\n")[2].splitlines()]
    (instance, address), (same, state), *rules, (name, record) = told
    assert (same, state) == (instance, "running")
    assert (name, record) == ("staging.example.com.", address)
    assert sorted(rules) == [
        ["tcp", "22", "198.51.100.7/32"],
        ["tcp", "443", "0.0.0.0/0"],
        ["tcp", "80", "0.0.0.0/0"],
        ["udp", "443", "0.0.0.0/0"],
    ]
