"""What runs behind the pages: the worker, its queue and engines, uploads."""
