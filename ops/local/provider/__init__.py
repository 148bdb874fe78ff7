"""The simulated provider: a deterministic stand-in for the OpenAI and Anthropic HTTP APIs.

`python -m ops.local.provider --port N` serves it; docs/design of its controls: contracts, "The simulated provider".
"""
