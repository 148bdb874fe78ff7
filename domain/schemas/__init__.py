"""Named output schemas: their versions, and what a new one may change."""
