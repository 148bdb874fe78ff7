"""The operator's sinks over HTTP."""
