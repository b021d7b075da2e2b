"""The mart as its readers see it: opened read-only, asked with typed queries, explained in words.

Belongs here: opening, queries, the macros that analysts call, wording of evidence. Not here: building the
mart (the ranking does) and showing it (`pipelines.cli`, `pipelines.report`).
"""
