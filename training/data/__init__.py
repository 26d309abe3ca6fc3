"""What is learned from: instruction data, tiles, batches, and the tokens that count."""
