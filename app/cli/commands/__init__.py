"""One module per command group. Everything heavy is imported inside the functions: ``--help`` answers at once."""
