"""Techniques that change what the model is shown, and train nothing."""
