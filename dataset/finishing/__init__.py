"""The finished set: checks, split, exports, card, and what training and knowledge need to read it."""
