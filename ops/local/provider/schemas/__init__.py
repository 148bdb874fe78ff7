"""Fills any JSON Schema (draft 2020-12) with a valid value."""
