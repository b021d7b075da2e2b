"""Prompts for the recordings, written for the purpose and free of anybody's text.

What belongs here: the sentences that the recording programs send. What does not: how they are sent.
"""

from itertools import product

_TASKS = (
    "Explain {topic} to {reader}.",
    "Write three quiz questions about {topic} for {reader}.",
    "Compare {topic} with its nearest alternative, for {reader}.",
    "List common mistakes that {reader} makes about {topic}.",
    "Give a worked example of {topic} that {reader} can follow.",
)
_TOPICS = (
    "tidal energy",
    "binary search",
    "sourdough starters",
    "the water cycle",
    "compound interest",
    "chess openings",
    "photosynthesis",
    "map projections",
    "regular expressions",
    "knot theory",
    "soil acidity",
    "ocean currents",
    "font kerning",
    "heat pumps",
    "suspension bridges",
    "bird migration",
    "the Doppler effect",
    "hash tables",
    "volcanic glass",
    "lighthouse optics",
)
_READERS = (
    "a ten-year-old", "a new colleague", "a retired engineer", "a night-shift nurse", "a school class",
    "an impatient reader", "a visiting botanist", "a beginner in the field",
)  # fmt: skip
SYSTEM_PROMPTS = ("Answer in plain words.", "You are a careful tutor.", "Be brief.")
ANSWERS = ("Here is a short answer.", "A fuller answer follows, in two parts.", "It depends on the setting.")


def all_prompts() -> list[str]:
    """Every prompt (800 of them), in a fixed order."""
    return [t.format(topic=p, reader=r) for t, p, r in product(_TASKS, _TOPICS, _READERS)]
