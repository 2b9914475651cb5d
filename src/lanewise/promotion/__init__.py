"""Deciding: plans, states, approvals, freezes, gates and the canary's judge. Pure; ``service`` acts on it."""
