"""Which evidence a missing request field makes unavailable."""

EVIDENCE_OF_FIELD: dict[str, tuple[str, ...]] = {
    "prompt": ("group.same_source", "coverage", "diversity", "systematicity.templates", "elicitation"),
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
    for name in missing:
        for evidence in EVIDENCE_OF_FIELD.get(name, ()):
            seen[evidence] = None
    return list(seen)
