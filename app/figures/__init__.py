"""How an evaluation is shown: the same plots and tables on the terminal, on the page Benchmarks and in the HTML report."""
