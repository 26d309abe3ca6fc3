"""The network: its configuration, its parts, and what goes into it."""
