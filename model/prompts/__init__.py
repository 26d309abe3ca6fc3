"""Prompts: the chat template, and the questions that the agent asks."""
