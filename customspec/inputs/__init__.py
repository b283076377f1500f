"""What a run starts from: models, rows and tokens, read strictly and named by their digests.

Paths and files         paths, regular, writing, checksummed, digests, documents, patience
Rows                    rows, formats, strict_json, columnar, hub_rows, packed, splits, splitting, health
Models                  models, unusable, configs, weights, gguf, headers, vetting, licence, consulting, helper
Tokens                  tokens, tokenizer_parts, chat_errors, encoding, remembered
"""
