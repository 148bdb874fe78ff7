"""The rules that the measurement with real faults may use instead of production's."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.monitoring.faults.faster import DURATION, copies, divided
from tests.monitoring.faults.place import RULES


def test_every_duration_is_divided_and_no_bound() -> None:
    text = "expr: sum(increase(x[15m])) > 20 or x unless x offset 1h > 300\nfor: 1m\nerror: 5m"
    faster = "expr: sum(increase(x[90s])) > 20 or x unless x offset 360s > 300\nfor: 6s\nerror: 5m"
    assert divided(text, 10) == faster
    with pytest.raises(ValueError, match="whole seconds"):
        divided("for: 1m", 7)


def test_the_divided_rules_are_rules_and_lack_none(tmp_path: Path) -> None:
    rules = sorted(RULES.glob("*.yml"))
    found = copies(RULES, tmp_path, 10)
    subprocess.run(["promtool", "check", "rules", *map(str, found)], check=True, capture_output=True)
    named = [re.findall(r"^\s+- (?:alert|record): (.*)", path.read_text(), re.MULTILINE) for path in found]
    assert named == [re.findall(r"^\s+- (?:alert|record): (.*)", path.read_text(), re.MULTILINE) for path in rules]
    assert not [match[0] for path in found for match in DURATION.finditer(path.read_text()) if match[3] != "s"]
