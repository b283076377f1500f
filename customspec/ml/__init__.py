"""The toolkit that computes: models, the one training loop, the one scorer, the generator. Torch lives here.

Models                  models, bases, headers, gguf_once, tokenizing, wholeness, precision, memory, quiet, trials,
                        probe
Passes of many prompts  batching, shared_prefix, families, choices, scoring, likelihood, finite
Generation              generation, decoding, sampling, endings, leaving
Training                training, arguments, forward, lines, head_loss, objective, compiling, selection, steady,
                        stopping, checkpointing, state
Adapters                adapters, consulting, helper, lean_lora
"""
