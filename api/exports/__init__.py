"""Bulk exports over HTTP."""
