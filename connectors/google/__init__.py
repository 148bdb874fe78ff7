"""Tables and sheets at Google."""
