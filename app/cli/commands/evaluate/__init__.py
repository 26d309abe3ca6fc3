"""``videopath evaluate``, one module per subcommand."""
