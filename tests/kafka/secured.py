"""A broker that takes SASL over TLS from clients, SCRAM-SHA-512 or OAUTHBEARER, and lets nobody do what no ACL says.

On its listener in the clear, which no client is told, everybody is its operator.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ops.local import kafka
from ops.local.environment import clean
from ops.local.kafka_jars import default_cache
from ops.local.ports import Ports
from tests.kafka.oauth import MODULE
from tests.line.processes import until

PASSWORD = "correct horse battery"
MORE = f"""\
listener.name.secure.sasl.enabled.mechanisms=SCRAM-SHA-512,OAUTHBEARER
listener.name.secure.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.oauthbearer.sasl.jaas.config={MODULE} required unsecuredLoginStringClaim_sub="broker";
listener.name.secure.ssl.keystore.type=PEM
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
broker.session.timeout.ms=18000
"""
_CODE = re.compile(r"`([^`]+)`")


class SecuredKafka(kafka.Kafka):
    """The embedded broker with the listener `secure` beside its own."""

    def __init__(self, data: Path, ports: Ports) -> None:
        super().__init__(data, (ports.of("kafka"), ports.of("controller")), {}, default_cache())
        self.secure = f"localhost:{ports.of('secure')}"
        self.authority = trustme.CA()
        self.cafile = data / "ca.pem"
        self._keystore = data / "broker.pem"

    def prepare(self) -> None:
        super().prepare()
        self.authority.cert_pem.write_to_path(str(self.cafile))
        issued = self.authority.issue_cert("localhost")
        # Kafka reads PKCS 8 alone
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._keystore.write_bytes(pem + b"".join(chain.bytes() for chain in issued.cert_chain_pems))
        text = self._config.read_text()
        text = text.replace(",CONTROLLER://", f",SECURE://{self.secure},CONTROLLER://", 1)
        text = text.replace("advertised.listeners=", f"advertised.listeners=SECURE://{self.secure},", 1)
        text = text.replace("protocol.map=", "protocol.map=SECURE:SASL_SSL,", 1)
        self._config.write_text(f"{text}{MORE}listener.name.secure.ssl.keystore.location={self._keystore}\n")

    @cached_property
    def operator(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.url, "log_level": 0})

    def enlist(self, user: str) -> None:
        """Give it the password, for SCRAM-SHA-512."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        done = self.operator.alter_user_scram_credentials([UserScramCredentialUpsertion(user, info, PASSWORD.encode())])
        done[user].result(30)

    def create(self, *topics: str) -> None:
        """With one partition each."""
        for done in self.operator.create_topics([NewTopic(topic, 1, 1) for topic in topics]).values():
            done.result(60)

    def allow(self, user: str, rights: Mapping[str, str], prefix: str) -> None:
        """`rights` are the cells of docs/security.md: Read, group and Write, for names without their prefix."""
        topic, group = ResourceType.TOPIC, ResourceType.GROUP
        wanted = [
            *((topic, name, AclOperation.READ) for name in _CODE.findall(rights["Read"])),
            *((group, name, AclOperation.READ) for name in _CODE.findall(rights["group (Read)"])),
            *((topic, name, AclOperation.WRITE) for name in _CODE.findall(rights["Write"])),
        ]
        bindings = [_binding(kind, prefix + name, operation, user) for kind, name, operation in wanted]
        for done in self.operator.create_acls(bindings).values():
            done.result(30)


def _binding(kind: ResourceType, name: str, operation: AclOperation, user: str) -> AclBinding:
    """A name that ends in `*` is a prefix."""
    pattern = ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL
    who, allow = f"User:{user}", AclPermissionType.ALLOW
    return AclBinding(kind, name.removesuffix("*"), pattern, who, "*", operation, allow)


def rights_of(page: str) -> dict[str, dict[str, str]]:
    """The table of docs/security.md: principal -> heading -> cell."""
    table = page.split("## Kafka: who needs which right")[1]
    head, _, *rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    names = [name.strip() for name in head]
    cells = [[cell.strip() for cell in row] for row in rows]
    return {row[0]: dict(zip(names, row, strict=True)) for row in cells}


@contextmanager
def secured(data: Path) -> Iterator[SecuredKafka]:
    """It answers its operator."""
    broker = SecuredKafka(data, Ports(data / "ports.json"))
    broker.prepare()
    log = data / "kafka.log"
    with log.open("wb") as output:
        command = broker.program().command
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=data, env=clean(os.environ))
    try:
        until(lambda: _answers(broker), 90, log.read_text)
        yield broker
    finally:
        process.kill()
        process.wait()


def _answers(broker: SecuredKafka) -> bool:
    try:
        return bool(broker.operator.list_topics(timeout=2).brokers)
    except Exception:  # noqa: BLE001 - whatever it is: not yet
        return False
