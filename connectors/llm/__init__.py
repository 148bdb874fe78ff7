"""Calling models: straight over HTTP where a provider speaks OpenAI's or Anthropic's dialect, else through LiteLLM."""
