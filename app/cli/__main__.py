"""Run the command ``videopath`` with ``python -m videopath.app.cli``."""

from videopath.app.cli.main import main

if __name__ == "__main__":
    main()
