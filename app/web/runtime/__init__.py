"""The code behind the pages: the worker with its queue and engines, uploads, and video files for browsers."""
