"""What a run starts from: models, rows and tokens, read strictly and named by their digests."""
