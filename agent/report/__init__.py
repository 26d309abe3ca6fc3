"""The report of a case: its builder, its sentences and sections, and its writers (Markdown, PDF)."""
