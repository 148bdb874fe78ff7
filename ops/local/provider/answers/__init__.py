"""Finds the answer: what a text says, and what a field of a schema is likely to ask about it."""
