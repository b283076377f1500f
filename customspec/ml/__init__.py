"""The toolkit that computes: models, the one training loop, the one scorer, the generator. Torch lives here.

Models                  models, bases, headers, tokenizing, wholeness, precision, memory, settings, quiet, trials, probe
Passes of many prompts  batching, shared_prefix, families, choices, scoring, likelihood, finite
Generation              generation, decoding, sampling, endings, leaving
Training                training, forward, lines, objective, selection, steady, stopping, checkpointing, state
Adapters                adapters, consulting, helper, lean_lora
"""
