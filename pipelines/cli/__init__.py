"""The command `scarecrow`: one module per command, and nothing that other packages import.

Belongs here: parsing of flags, tables and sentences on a terminal, exit codes. Not here: the work itself.
"""
