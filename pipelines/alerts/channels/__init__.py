"""Channels: each renders notices in one format and hands them to one receiver.

base.py says what a channel is; http.py, topic.py and the file of ocsf.py move bytes; build.py makes the
channels that the settings switch on. A channel keeps no state: what must not be lost is in the outbox.
"""
