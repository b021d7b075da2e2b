"""What tests of ingest share: a small fitted map."""

import random

import pytest

from pipelines.ingest.measure import HashKeys
from pipelines.prompt_map.fit import FittedMap, fit
from tests.ingest.records import KEY, record


@pytest.fixture(scope="session")
def fitted() -> FittedMap:
    """A map fitted to 2,500 prompts of the test grammar."""
    rng = random.Random(7)
    prompts: dict[str, None] = {}
    while len(prompts) < 2_500:
        prompts[record(rng, 0)["prompt"]] = None
    return fit([prompt.encode() for prompt in prompts])


@pytest.fixture(scope="session")
def keys() -> HashKeys:
    """Hash keys of the tests."""
    return HashKeys.derive(KEY)
