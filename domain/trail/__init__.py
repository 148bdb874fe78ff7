"""The audit log: who changed what may be done, or where things go."""
