"""Documents that requests refer to: over HTTP through the guard, and from S3."""
