"""The queues of a tenant: what is unfinished, by lane."""
