"""Parts of the page New case."""
