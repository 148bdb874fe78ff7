"""Where a process may open a connection on somebody else's word: URLs, addresses, networks."""
