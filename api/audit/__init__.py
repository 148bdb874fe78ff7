"""The audit log over HTTP, to be read."""
