"""Batches whose videos, manifests or results are on a store such as S3."""
