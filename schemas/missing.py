"""Which evidence a missing request field makes unavailable."""

CONTENT = "prompt or prompt_embedding"
"""Stands for both fields: this evidence is lost only where neither is there."""

EVIDENCE_OF_FIELD: dict[str, tuple[str, ...]] = {
    CONTENT: ("group.same_source", "group.disjointness", "coverage", "diversity", "systematicity.repeats"),
    "prompt": ("systematicity.templates", "elicitation", "group.short_prompts_left_out"),
    "turn_index": ("systematicity.first_turns",),
    "conversation_id": ("systematicity.conversations",),
    "system_prompt": ("linkage.system_prompt",),
    "tool_schema": ("linkage.tool_schema",),
    "response": ("elicitation.output_as_input",),
    "client_ip": ("linkage.network",),
    "user_agent": ("linkage.user_agent",),
    "tls_fingerprint": ("linkage.tls",),
    "payment_fingerprint": ("linkage.payment",),
    "api_key_id": ("linkage.api_key",),
    "account_created_at": ("tempo.ramp", "linkage.birth"),
    "model": ("tempo.model_move",),
    "status": ("tempo.throttles",),
    "completion_tokens": ("campaign.tokens_taken",),
}


def unavailable(missing: list[str]) -> list[str]:
    """Names of the evidence that the missing fields make unavailable, without repeats, in order."""
    seen: dict[str, None] = {}
    without_content = {"prompt", "prompt_embedding"} <= set(missing)
    for name in [CONTENT, *missing] if without_content else missing:
        for evidence in EVIDENCE_OF_FIELD.get(name, ()):
            seen[evidence] = None
    return list(seen)
