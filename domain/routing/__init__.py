"""Which models there are, what they cost, and how they are reached."""

from pathlib import Path

SHIPPED = Path(__file__).parent / "models.yaml"
"""The model catalogue that comes with Structured Prompt."""
