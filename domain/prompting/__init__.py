"""Prompt templates: versioned files, rendered so that a variable can never be more than text in its place."""

from pathlib import Path

SHIPPED = Path(__file__).parent / "library"
"""The directory of the templates that come with Structured Prompt."""
