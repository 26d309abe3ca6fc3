"""Video files: their streams, the decoded frames, and how they are meant to be seen."""
