"""The way out to receivers of tenants."""
