"""Ports that write the audit log: decorators that say of which calls a row is left."""
