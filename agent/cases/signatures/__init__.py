"""Signatures of finished cases, addenda, rejections and withdrawals."""
