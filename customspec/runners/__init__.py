"""Plan -> Results. A runner schedules steps; `execute` does one, in any process that sees the store.

A plan is run           local, execute, kinds/, work, outcome, limits, warm, watching, stalled, blame,
                        shortage
A model answers         bases, answers, choice_scores, likelihood, records, metrics, samples, measure, spending
Options are found       searching, fitting; a technique is trained: tuning, artifact
What a run leaves       folder, rows, results, evidence, tokenizer, earlier
Before a run            fetching, fetcher, freshness, machine_rates, killed
After a run             reopened, places, predict, export/, comparing, curve
"""
