"""Load over HTTP, from outside: scenarios of clients that do as docs/errors.md says (docs/load-tests.md)."""
