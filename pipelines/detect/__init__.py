"""Detection: folded rows in, evidence, campaigns and a ranking out (METHOD sections 3 to 6)."""
