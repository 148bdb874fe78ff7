"""Staging on one machine: `make staging DOMAIN=…`."""
