"""Prompt safety: what is taken out of a prompt, what is hidden in it, what stops it. Pure."""
