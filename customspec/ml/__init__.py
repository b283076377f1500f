"""The toolkit that computes: models, encoding, the one training loop, the one scorer. Torch lives here."""
