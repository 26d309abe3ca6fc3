"""``videopath evaluate``: measure the agent, the model and retrieval on held-out data."""
