"""Cut the fixtures out of recordings: a few calls of every kind, without machine paths and without ballast.

What belongs here: choosing lines and removing what the README of the fixtures names as removed. Nothing is
rewritten.

    python small.py litellm litellm.ndjson litellm.truth.ndjson FIXTURES_DIR
    python small.py otel otel.ndjson otel.truth.ndjson FIXTURES_DIR     (a recording of few calls per mode)
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path


def small_litellm(lines: list[str], truth: list[dict]) -> tuple[list[str], list[dict]]:
    """One call of every kind; price tables (most of the bytes), costs and tracebacks go."""
    by_id: dict[str, list[dict]] = {}
    for line in lines:
        payload = json.loads(line)
        by_id.setdefault(payload["litellm_call_id"], []).append(payload)
    known = {row["event_id"] for row in truth}
    # The proxy gives a refused caller no call id, so these are matched by what was asked.
    refused = {str(rows[0]["messages"]): key for key, rows in by_id.items() if key not in known}
    payloads, kept, seen = [], [], Counter()
    for row in truth:
        seen[row["kind"]] += 1
        if seen[row["kind"]] > 1:
            continue
        key = row["event_id"] or next(k for text, k in refused.items() if row["prompt"] in text)
        payloads += by_id[key]
        kept.append(row)
    payloads.sort(key=lambda payload: payload["endTime"])
    for number, payload in enumerate(payloads):
        if number:  # the first one stays whole
            for ballast in ("model_map_information", "hidden_params", "cost_breakdown"):
                del payload[ballast]
        payload["error_information"]["traceback"] = ""
    return [json.dumps(payload) for payload in payloads], kept


def scrub_otel(value: object) -> object:
    """Stack traces name the machine's folders."""
    if isinstance(value, dict):
        if value.get("key") == "exception.stacktrace":
            return {"key": "exception.stacktrace", "value": {"stringValue": "removed"}}
        return {key: scrub_otel(inner) for key, inner in value.items()}
    return [scrub_otel(inner) for inner in value] if isinstance(value, list) else value


def main() -> None:
    """Write NAME.ndjson and NAME.truth.ndjson."""
    name, recording, truth_file, folder = sys.argv[1], *map(Path, sys.argv[2:5])
    lines = [line for line in recording.read_text().splitlines() if line]
    truth = [json.loads(line) for line in truth_file.read_text().splitlines()]
    if name == "litellm":
        lines, truth = small_litellm(lines, truth)
    else:
        lines = [json.dumps(scrub_otel(json.loads(line)), separators=(",", ":")) for line in lines]
    if found := re.search(r"site-packages|/home/|/root/|/tmp/", "\n".join(lines)):
        raise SystemExit(f"a path of this machine is left: {found[0]}")
    (folder / f"{name}.ndjson").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.truth.ndjson").write_text("".join(json.dumps(row) + "\n" for row in truth))


if __name__ == "__main__":
    main()
