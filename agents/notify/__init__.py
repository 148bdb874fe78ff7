"""Tells tenants what happened: results and events into a durable queue, and from there to their URLs."""
