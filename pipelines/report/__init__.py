"""What people read: the HTML page, and how text from a log is made harmless wherever it is shown.

Belongs here: rendering and escaping. Not here: queries (`pipelines.mart`) and flags (`pipelines.cli`).
"""
