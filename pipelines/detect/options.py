"""What an operator may choose of detection: `rank.detect` of the settings has the same names and these defaults.

Belongs here: bars that decide what is compared, grouped and shown. Not here: what a measure is worth; those constants
were fitted together, stand beside the code that uses them and change with the method, never by installation.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Bars of detection.

    min_prompts: distinct prompts below which an account is "insufficient": it has no p-value, is nobody's peer and
    belongs to no campaign. smallest_campaign: accounts from which a group is a campaign. shown_score: nats from which
    it is shown. membership: probability, 0 to 1, below which an account is no member of it.
    """

    min_prompts: int = 6
    smallest_campaign: int = 5
    shown_score: float = 0.0
    membership: float = 0.0


DEFAULT = Options()
