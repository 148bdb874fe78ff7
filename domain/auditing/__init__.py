"""Whether the bill is what the ledger says."""
