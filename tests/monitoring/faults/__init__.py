"""From a real fault to its alert: `python -m tests.monitoring.faults` (docs/monitoring.md)."""
