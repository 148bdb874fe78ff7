"""Redis, an accelerator that may be wiped at any time without losing money or results (architecture.md)."""
