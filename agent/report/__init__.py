"""Reports of a case: what is said, and how it is written as Markdown and PDF."""
