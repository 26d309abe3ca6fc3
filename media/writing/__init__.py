"""Writing in the picture: it is read, judged and filled before anything else sees a frame."""
