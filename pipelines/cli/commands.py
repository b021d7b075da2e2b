"""The table of commands: name, one line of help, and where the function or sub-application lives.

`scarecrow --help` is printed from this table alone; the module of a command is imported when it runs.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class CommandSpec:
    """A command.

    target: `module:attribute` within pipelines.cli, a function or (with sub-commands) a Typer application.
    panel: heading in the help.
    """

    name: str
    summary: str
    target: str
    panel: str


_START, _DATA, _FINDINGS = "Start here", "Data", "Findings"
_ACTIONS, _QUALITY = "Alerts and actions", "Quality and set-up"

COMMANDS: tuple[CommandSpec, ...] = (
    CommandSpec("demo", "Planted campaigns through every stage, to a report.", "demo:demo_command", _START),
    CommandSpec("ingest", "Logs from files or Kafka into the lake.", "ingest:ingest_command", _DATA),
    CommandSpec("lag", "How far the lake is behind a source.", "lag:lag_command", _DATA),
    CommandSpec("rejects", "What could not be read, why and where.", "rejects:rejects_command", _DATA),
    CommandSpec("compact", "Fold closed hours and days, drop old files.", "compact:compact_command", _DATA),
    CommandSpec(
        "prompt-map", "Fit, list, choose or show the prompt map.", "prompt_map:prompt_map_app", _DATA
    ),
    CommandSpec("produce", "Replay a log file into a Kafka topic.", "produce:produce_command", _DATA),
    CommandSpec("rank", "Rank accounts and campaigns into a mart.", "rank:rank_command", _FINDINGS),
    CommandSpec("suspects", "The most suspect accounts.", "suspects:suspects_command", _FINDINGS),
    CommandSpec("campaigns", "The most suspect campaigns.", "campaigns:campaigns_command", _FINDINGS),
    CommandSpec(
        "explain", "Why an account or campaign stands where it does.", "explain:explain_command", _FINDINGS
    ),
    CommandSpec("ask", "Ten questions of analysts by number, or any SQL.", "ask:ask_command", _FINDINGS),
    CommandSpec("label", "Record what a person decided.", "label:label_command", _FINDINGS),
    CommandSpec("diff", "What another mart ranks differently, and why.", "diff:diff_command", _FINDINGS),
    CommandSpec("report", "One self-contained HTML page.", "report:report_command", _FINDINGS),
    CommandSpec("alert", "Tell people and systems about new findings.", "alert:alert_command", _ACTIONS),
    CommandSpec("enforce", "Graded actions that a gateway can carry out.", "enforce:enforce_app", _ACTIONS),
    CommandSpec("canary", "Register answers that tell who received them.", "canary:canary_app", _ACTIONS),
    CommandSpec("trace", "Who received the answers found in a data set.", "trace:trace_command", _ACTIONS),
    CommandSpec(
        "simulate", "Logs with planted campaigns, truth apart.", "simulate:simulate_command", _QUALITY
    ),
    CommandSpec(
        "evaluate", "A mart against the truth of a simulation.", "evaluate:evaluate_command", _QUALITY
    ),
    CommandSpec(
        "backtest", "History ranked again under new settings.", "backtest:backtest_command", _QUALITY
    ),
    CommandSpec(
        "recalibrate",
        "What labels make of the families' weights.",
        "recalibrate:recalibrate_command",
        _QUALITY,
    ),
    CommandSpec(
        "settings", "What is in force and where it comes from.", "settings:settings_command", _QUALITY
    ),
)
