"""What is kept of a case: exports, statements, second readings and the audit list."""
