"""The environment file of staging: every secret made once, for its owner's eyes only, never overwritten.

`python -m ops.staging.secrets --domain NAME` writes it without starting anything.
"""

import argparse
import re
import secrets
from pathlib import Path

FILE = Path(__file__).parent / ".env"
SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "CLICKHOUSE_PASSWORD", "GRAFANA_PASSWORD", "KEY_PEPPER")
HEAD = """\
# Made by `make staging`, which adds what is missing and changes nothing else. Keep a copy in a safe place: without
# KEY_PEPPER no API key is valid, and the engines keep the passwords that they were first started with.
"""
OPTIONS = """
# For answers of a real provider: take the # off the first line and off a key.
#SIMULATED_PROVIDER_URL=
#OPENAI_API_KEY=
#ANTHROPIC_API_KEY=
# For /.well-known/security.txt, the mails of the certificate authority, and tenants that may operate over HTTP.
#SECURITY_CONTACT=mailto:security@example.com
#ACME_EMAIL=ops@example.com
#OPERATORS=demo
"""


def ensure(file: Path, domain: str) -> list[str]:
    """Names of what was added. Another domain than the one in the file replaces it."""
    known = read(file)
    text = file.read_text() if file.exists() else HEAD + OPTIONS
    added = [name for name in SECRETS if not known.get(name)]
    kept = [line for line in text.splitlines() if not re.match(rf"(DOMAIN|{'|'.join(added) or 'DOMAIN'})=", line)]
    # letters and digits: they become part of addresses
    made = [f"{name}={secrets.token_hex(24)}" for name in added]
    scratch = file.with_name(file.name + ".new")
    scratch.unlink(missing_ok=True)
    scratch.touch(mode=0o600)
    scratch.write_text("\n".join([*kept, *made, f"DOMAIN={domain}", ""]))
    scratch.replace(file)
    return added


def read(file: Path) -> dict[str, str]:
    """What the file says; nothing where there is none."""
    lines = file.read_text().splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ops.staging.secrets", description=__doc__)
    parser.add_argument("--domain", required=True)
    parser.add_argument("--file", type=Path, default=FILE)
    options = parser.parse_args()
    added = ensure(options.file, options.domain)
    print(f"{options.file}: {', '.join(added) or 'nothing'} added")


if __name__ == "__main__":
    main()
