"""What botocore reads of AWS's services, without what a bucket has no use for: 9 MB of memory less.

Its own loader keeps the documentation of each of S3's operations, and the addresses of all of AWS's services.
"""

import gzip
import json
from pathlib import Path
from typing import Any

NEEDED = frozenset({"s3", "sts", "portal.sso", "oidc", "signin"})
"""S3, and what credentials come from. The address of another service is then the usual one of its region."""


class Lean:
    """Stands for botocore.loaders.JSONFileLoader."""

    def exists(self, file_path: str) -> bool:
        return _found(file_path) is not None

    def load_file(self, file_path: str) -> Any:
        """The description at `file_path`, which has no ending; None where there is none."""
        path = _found(file_path)
        if path is None:
            return None
        text = path.read_bytes()
        return json.loads(gzip.decompress(text) if path.suffix == ".gz" else text, object_hook=_without_excess)


def _found(file_path: str) -> Path | None:
    paths = (Path(file_path + ending) for ending in (".json", ".json.gz"))
    return next((path for path in paths if path.is_file()), None)


def _without_excess(part: dict[str, Any]) -> dict[str, Any]:
    if isinstance(part.get("documentation"), str):
        part["documentation"] = ""
    services = part.get("services")
    if isinstance(services, dict):
        part["services"] = {name: services[name] for name in services if name in NEEDED}
    return part
