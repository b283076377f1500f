"""The toolkit that computes: models, the one training loop, the one scorer, the generator. Torch lives here."""
