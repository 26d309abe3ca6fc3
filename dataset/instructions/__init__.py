"""Instruction pairs: a model writes and rates them, or a person finishes drafts."""
