"""A recording is cut: shots by PySceneDetect, refined by what the screen shows."""
