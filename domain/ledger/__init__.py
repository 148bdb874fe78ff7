"""The ledger of requests: what a request's row says and what may happen to it (rules L1-L17)."""
