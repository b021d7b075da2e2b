"""A few hours of traffic in time order, records of about 900 bytes, for benchmarks. By seed, at 100,000 a second.

The vocabulary is as wide as people's (30,000 words by Zipf's law), since the cost of a projection depends on it.
"""

from pathlib import Path

import numpy as np
import orjson

START_MS = 1_790_000_000_000 // 3_600_000 * 3_600_000
_LETTERS = np.frombuffer(b"etaoinshrdlucmfwypvbgkqjxz", dtype=np.uint8)


def _vocabulary(rng: np.random.Generator, size: int) -> list[str]:
    weights = 1 / np.arange(1, 27)
    words: dict[str, None] = {}
    while len(words) < size:
        length = int(rng.integers(2, 11))
        words[rng.choice(_LETTERS, length, p=weights / weights.sum()).tobytes().decode()] = None
    return list(words)


def write_traffic(path: Path, records: int, accounts: int, hours: float, seed: int = 0) -> int:
    """Write a log; returns its bytes. accounts: 0 gives every request an account of its own."""
    rng = np.random.default_rng(seed)
    words = _vocabulary(rng, 30_000)
    shares = 1 / np.arange(1, len(words) + 1) ** 0.9
    pool = rng.choice(len(words), 2_000_000, p=shares / shares.sum())
    texts = [words[i] for i in pool]
    step = hours * 3_600_000 / records
    with path.open("wb") as file:
        for begin in range(0, records, 20_000):
            size = min(20_000, records - begin)
            owner = rng.integers(0, accounts, size) if accounts else np.arange(begin, begin + size)
            starts = rng.integers(0, len(texts) - 200, (2, size))
            lengths = rng.integers(5, 60, size), rng.integers(12, 48, size)
            status = rng.choice([200, 200, 200, 200, 200, 200, 200, 200, 429, 500], size)
            tokens = rng.integers(10, 900, (2, size))
            lines = []
            for i in range(size):
                account = int(owner[i])
                prompt = " ".join(texts[starts[0, i] : starts[0, i] + lengths[0][i]])
                lines.append(
                    orjson.dumps(
                        {
                            "event_id": f"req_{seed:02d}{begin + i:012d}",
                            "event_time": START_MS + int((begin + i) * step),
                            "account_id": f"acct_{account:07d}",
                            "org_id": f"org_{account % 900}",
                            "api_key_id": f"key_{account:07d}_{i % 2}",
                            "model": "large-2" if account % 3 else "small-2",
                            "endpoint": "chat",
                            "plan": "pro" if account % 5 else "free",
                            "conversation_id": f"conv_{account}_{(begin + i) % 97}",
                            "user_agent": "python-sdk/1.14.2" if account % 4 else "node-sdk/3.2",
                            "client_ip": f"10.{account % 250}.{account // 250 % 250}.{i % 250}",
                            "turn_index": int(i % 3),
                            "prompt": f"{prompt}?\n“{texts[starts[1, i]]}”" if i % 4 == 0 else prompt,
                            "response": " ".join(texts[starts[1, i] : starts[1, i] + lengths[1][i]]),
                            "temperature": 0.7,
                            "max_tokens": 1024,
                            "prompt_tokens": int(tokens[0, i]),
                            "completion_tokens": int(tokens[1, i]),
                            "status": int(status[i]),
                            "latency_ms": 812.25,
                        }
                    )
                )
            file.write(b"\n".join(lines) + b"\n")
    return path.stat().st_size
