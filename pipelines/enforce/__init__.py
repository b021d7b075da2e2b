"""Enforcement feed: one graded action per account and campaign, for a gateway to carry out.

Here: grading (policy), what is in force and its history (store), the feed as file and compacted topic (feed,
run), exports for two gateways (gateways), appeals. Not here: carrying anything out. Everything is a proposal
until the operator says otherwise, everything expires by itself, and nothing goes beyond a review without a
person's verdict.
"""
