"""Evaluation of retrieval, and of what it does to the agent's answers."""
