"""Redriving: an order over many dead letters, and what became of it."""
