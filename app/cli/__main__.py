"""``python -m videopath.app.cli``: the command ``videopath``."""

from videopath.app.cli.main import main

if __name__ == "__main__":
    main()
