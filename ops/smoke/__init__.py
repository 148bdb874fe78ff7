"""Smoke tests of a deployment, from outside: `make smoke URL=… KEY=…`."""
