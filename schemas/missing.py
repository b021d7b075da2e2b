"""Which evidence a missing request field makes unavailable."""

CONTENT = "prompt or prompt_embedding"
"""Stands for both fields: this evidence is lost only where neither is there."""

TOKENS = "campaign.completion_tokens"
"""No reason, but what a campaign took, a column of suspect_campaigns."""

EVIDENCE_OF_FIELD: dict[str, tuple[str, ...]] = {
    CONTENT: (
        "group.shared_list",
        "group.broad_and_unlike_people",
        "coverage",
        "diversity",
        "systematicity.without_replacement",
        "systematicity.ordered_sweeps",
    ),
    "prompt": (
        "systematicity.templates",
        "systematicity.opening_evenness",
        "systematicity.closing_templates",
        "systematicity.filled_templates",
        "diversity.subjects_per_template_nats",
        "elicitation",
    ),
    "turn_index": ("systematicity.first_turns",),
    "conversation_id": ("systematicity.conversations",),
    "system_prompt": ("linkage.system_prompt",),
    "tool_schema": ("linkage.tool_schema",),
    "response": ("elicitation.output_as_input",),
    "client_ip": ("linkage.network",),
    "tls_fingerprint": ("linkage.tls",),
    "payment_fingerprint": ("linkage.payment",),
    "api_key_id": ("linkage.api_key",),
    "account_created_at": ("tempo.ramp", "linkage.birth", "linkage.respawn"),
    "model": ("tempo.model_move",),
    "status": ("tempo.throttle_share",),
    "completion_tokens": (TOKENS,),
}
"""Reasons as `family.reason`, or a family for all of it."""


def unavailable(missing: list[str]) -> list[str]:
    """Names of the evidence that the missing fields make unavailable, without repeats, in order."""
    seen: dict[str, None] = {}
    without_content = {"prompt", "prompt_embedding"} <= set(missing)
    for name in [CONTENT, *missing] if without_content else missing:
        for evidence in EVIDENCE_OF_FIELD.get(name, ()):
            seen[evidence] = None
    return list(seen)
