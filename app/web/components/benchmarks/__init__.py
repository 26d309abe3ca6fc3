"""Parts of the page Benchmarks."""
