"""Whether a look is enough for a diagnosis, and how sure the agent may be."""
