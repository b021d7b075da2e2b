"""Canaries: answers that were varied or watermarked per account, remembered as keyed hashes, and traced.

Here: sketches of texts, the registry, the search in a suspect data set, and how likely a false match is. Not
here: making variants (that is the gateway's) and acting on a match (`pipelines.enforce`). No text is ever
stored.
"""
