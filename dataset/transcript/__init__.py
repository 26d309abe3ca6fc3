"""The words of a recording: subtitles beside it or inside it, or recognised speech."""
