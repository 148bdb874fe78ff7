"""The embedded stack: real engines from package registries under one supervisor, for a laptop and for tests."""
