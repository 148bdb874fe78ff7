"""What leaves in bulk, on request."""
