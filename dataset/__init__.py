"""From raw teaching videos to instruction pairs: transcript, segments, refined clips, instructions, the finished set."""
