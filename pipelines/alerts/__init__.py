"""Alerts: what changed in a published mart, told once to people and systems.

Here: which finding is worth telling (findings, rules, decide), what is said (alert, text), and how it gets
there without loss (outbox, deliver, channels). Not here: how findings are found (`pipelines.detect`) and what
a gateway does about them (`pipelines.enforce`). Nothing here ever sees a prompt: a mart holds none.

`run.send_alerts` is the one entry point.
"""
