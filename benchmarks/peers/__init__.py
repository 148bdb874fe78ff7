"""What people would use instead, asked the same questions on the same provider: `python -m benchmarks.peers`."""
