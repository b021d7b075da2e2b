"""The prompt map: from the text of a prompt to one of 1,024 cells (METHOD section 1)."""
