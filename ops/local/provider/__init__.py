"""The simulated provider: a deterministic stand-in for the OpenAI and Anthropic HTTP APIs; see README.md."""
