"""What several people and processes share of a library: queue, worklist, people and the audit list."""
