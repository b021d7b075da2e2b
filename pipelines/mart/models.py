"""Names of the SQL models and of the tables they read, in the order in which they need each other."""

from typing import Final

STAGED: Final = (
    "accounts", "campaigns", "members", "account_reasons", "campaign_reasons", "links", "profiles", "activity",
    "labels", "sources", "runs", "history", "horizon", "field_evidence", "weights", "audit",
)  # fmt: skip
"""Tables that the models read, each as view `staged_<name>`."""

STAGING: Final = ("labels_in_force", "known_before", "e_values")
"""Models that other models read and that no mart keeps."""

MODELS: Final = (
    "suspect_accounts", "account_activity", "account_profiles", "suspect_campaigns", "campaign_members",
    "account_reasons", "campaign_reasons", "account_links", "labels", "sources", "runs", "ranking_history",
    "campaign_events", "blind_spots", "family_weights", "audit_log",
)  # fmt: skip
"""Models of the mart; each fills the relation of its name."""
