"""Plain and routed networks, and what they cost on the way to an answer."""
