"""The commands: a module for a single command, a package for a group, whose Typer app is in ``group``.

Heavy libraries are imported inside the functions, so that ``--help`` answers at once.
"""
