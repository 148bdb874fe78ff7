"""The sample job; see README.md."""
