"""The fault run: a real ingest follows a real broker while both are killed, cut off, starved and doubled.

The flow: records.py (what is written, and how it is read back from a lake) > producer.py (the process that
writes) > ingests.py and steps.py (real ingest processes that die where they are told to) > disk.py, network.py
(what else can fail) > oracle.py (lake == committed records) > run.py (faults one after the other, counted).
Not here: how often and in which order, which is tests/kafka/test_faults.py.
"""
