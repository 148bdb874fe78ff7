"""In-memory twins of every port: shipped, and passed by the same suites as the real ones."""
