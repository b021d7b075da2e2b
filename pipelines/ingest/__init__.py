"""Logs in, account_hours out: read, decode, measure, fold, write, commit."""
