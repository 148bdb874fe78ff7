"""Topics and webhooks of others that become requests: what is bound, how it is mapped, who signed it."""
