"""What `make scan` and `make sbom` run; nothing of the product imports it."""
