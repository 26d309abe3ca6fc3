"""Parts of the page of one case."""
