"""Caddy in front of the embedded API, with staging's own Caddyfile: TLS, HTTP/2, compression, redirects.

`localhost` gets a certificate of Caddy's own authority and listens on 127.0.0.1 alone. Every other name is public:
Caddy listens on all addresses and asks Let's Encrypt for a certificate, so ports 80 and 443 must reach it.
"""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import probes
from .ports import Ports
from .program import Probe, Program, StackError
from .tools import found

CADDYFILE = Path(__file__).parents[1] / "staging" / "Caddyfile"
NAME = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Front:
    """`url` is what strangers use; `authority` is the file to trust for it, None for a public certificate."""

    program: Program
    url: str
    authority: Path | None


def plan_front(data: Path, ports: Ports, environment: Mapping[str, str], domain: str, upstream: int) -> Front:
    """The Caddy of `domain` before the API on port `upstream`. Raises StackError where that is not possible."""
    caddy = found("caddy")
    if caddy is None:
        raise StackError(
            "caddy is not installed: make tools TOOLS=caddy builds it, apt-get install --no-install-recommends caddy "
            "(Debian, Ubuntu) or brew install caddy (macOS) installs it"
        )
    if not NAME.fullmatch(domain):
        raise StackError(f"{domain!r} is no name of a host: say localhost, or a name whose DNS points to this machine")
    local = domain == "localhost" or domain.endswith(".localhost")
    secure = ports.asked("https", None if local else 443, 8443)
    plain = ports.asked("http", None if local else 80, 8080)
    home = data / "caddy"
    authority = home / "caddy" / "pki" / "authorities" / "local" / "root.crt" if local else None
    address = domain if secure == 443 else f"{domain}:{secure}"
    own = {
        "DOMAIN": domain,
        "UPSTREAM": f"{probes.HOST}:{upstream}",
        "BIND": probes.HOST if local else "0.0.0.0",  # noqa: S104 # nosec B104 - strangers are to reach it
        "HTTP_PORT": str(plain),
        "HTTPS_PORT": str(secure),
        "REDIRECT_TO": address,
        "XDG_DATA_HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
    }
    program = Program(
        name="caddy",
        command=(caddy, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"),
        environment={**environment, **own},
        ready=_serves(secure, domain, authority),
        # a certificate of a public authority takes a while
        start_seconds=30 if local else 180,
        stop_seconds=35,
        port=secure,
    )
    return Front(program, f"https://{address}", authority)


def _serves(port: int, domain: str, authority: Path | None) -> Probe:
    """Whether it shows a certificate for `domain` that can be trusted."""

    async def probe() -> bool:
        trusted = ssl.create_default_context(cafile=authority)
        return await probes.shakes_hands(port, domain, trusted)

    return probe
