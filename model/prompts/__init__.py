"""Prompts: the chat template, and the questions of the agent."""
