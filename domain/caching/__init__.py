"""Which requests ask the same question."""
