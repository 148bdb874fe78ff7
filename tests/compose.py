"""Compose files against the compose specification."""

import json
from pathlib import Path
from typing import Any

import jsonschema

SPECIFICATION = Path(__file__).parent / "house/schemas/compose-spec.json"


def faults(document: dict[str, Any]) -> list[str]:
    """What the specification does not allow in it: a path and a sentence each."""
    validator = jsonschema.Draft7Validator(json.loads(SPECIFICATION.read_text()))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
