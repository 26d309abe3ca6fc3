"""Views of an evaluation: the same plots and tables on the terminal, on the page Benchmarks and in the HTML report."""
