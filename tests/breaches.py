"""Changes in one place of the text that `plugin new` writes, each of which breaks a rule of the contract."""

from __future__ import annotations

FIELD = "    shots: int = "
SAVED = "        save(model, folder)\n"
ENDED = "return adapted\n"
NAMED = 'name = "changed"'
RULE = (
    '__import__("customspec.hookspecs", fromlist=["Rule"]).Rule("mine", "always", lambda *_: True, "mind", "{}", "{}")'
)
# rule, a piece of the text, what stands in its place, and what is then told
PROMPTING: list[tuple[str, str, str, str]] = [
    ("members", "def shots(", "def shot(", "it lacks shots"),
    ("members", 'name = "changed"', 'name = "Changed"', "the name `Changed` must be lower-case"),
    ("members", 'name = "changed"', 'name = "seeds"', "the name `seeds` is a reserved key"),
    ("summary", '"source: author, year, title."', '"source"', "whole sentences"),
    ("options_schema", '    """Demonstrations before the query."""\n', "", "no docstring under shots"),
    ("options_schema", FIELD, f'    model_config = {{"extra": "ignore"}}\n{FIELD}', "loosens the model's extra"),
    ("options_as_json", FIELD, f'    names: tuple[str, ...] = ("a",)\n{FIELD}', "is refused when read again, at names"),
    ("advice", NAMED, f'{NAMED}\n    rules = ("a",)', "'a' is no customspec.hookspecs.Rule"),
    ("advice", NAMED, f"{NAMED}\n    rules = [{RULE.format('{facts.rowz}', 'me')}]", "has no attribute 'rowz'"),
    ("advice", NAMED, f"{NAMED}\n    rules = [{RULE.format('so it is', '')}]", "the rule `mine` has no `source`"),
    ("light_import", "import random\n", "import random\n\nimport torch\n", "loads torch; import them inside"),
    ("light_import", "@hookimpl\n", "", "promises technique `changed` but its hook offers 0 of it"),
    (
        "fingerprint",
        FIELD,
        f"    names: frozenset[str] = Field(frozenset('abcdef'), strict=False)\n{FIELD}",
        "PYTHONHASHSEED",
    ),
    ("shots", "return options.shots", "return options.shots + 3", "`shots` says 5, but a query is shown 2"),
    ("shots", "return options.shots", "return -1", "it must be a number of rows"),
    ("training_rows", "][: options.shots]", "][:1] * options.shots", "a row is shown twice"),
    ("training_rows", "[row for", '[Example("mine", None, "", "") for', "are no training rows"),
    ("never_its_own", " if row.id != query.id", "", "is shown to itself"),
    ("few_rows", "sample(rows, len(rows))", "sample(rows, 9)", "raised ValueError: Sample larger than population"),
    ("blind", " if row.id != query.id", " if row.answer != query.answer", "when the answer is unknown"),
    ("determinism", "random.Random(seed)", "random.Random()", "gave two different selections"),
    ("any_process", "len(row.answer)", "hash(row.id)", "other demonstrations and conversations under PYTHONHASHSEED="),
]
METHOD: list[tuple[str, str, str, str]] = [
    ("takes_rows", "if len(rows) < options.shots", "if True", "it refuses 14 rows: too few rows; give the check other"),
    ("takes_rows", 'option="shots"', 'option="shotz"', "the refusal blames `shotz`"),
    ("takes_rows", "len(rows) <", "len(rows[0].user) <", "raised IndexError"),
    ("columns", '{"reason": options', '{"raeson": options', "`raeson` is none of the options"),
    ("files", '{"notes": options.notes}', '{"notes": None}', "`notes` names None"),
    ("written", "So: {example", "So {example", "'' is read out of"),
    ("written", "fields.get(options.reason)", "fields[options.reason]", "raised KeyError: 'why'"),
    (
        "messages",
        "messages(query, shots)",
        "messages(query, shots)[:-1]",
        "the last turn that asks test:1 is the assist",
    ),
    ("messages", "messages(query, shots)", "messages(query, [*shots, query])", "depends on its answer"),
    ("messages", "messages(query, shots)", "messages(query, shots)[-1]", "is no conversation"),
    ("decoding", "temperature=0.7", "temperature=0.0", "3 samples at temperature 0 are all the same"),
    ("decoding", "top_p=0.9", "top_p=90", "`top_p` is 90"),
    ("read", 'best[0] if best else ""', "best[0]", "raised IndexError"),
    ("read", "len(best) > 1", "False", "`tie` is False"),
    ("read", "len(outputs) - len(found)", "0", "votes and unread texts are 0 for ['']"),
    ("fit", '{"shots": 1', '{"shotz": 1', "`fit` gives `shotz`: Extra inputs are not permitted"),
    ("fit", '{"shots": 1', '{"notes": "n", "shots": 1', "`fit` gives `notes`, which names a file of the person's"),
    ("fit", "1 + (likely[1] > likely[0])", "14", "`fit` gives options for 14 shots of 14 training rows"),
    ("fit", "likely[1] > likely[0]", "isinstance(rows, list)", "`fit` found {'shots': 1}, and then {'shots': 2}"),
    (
        "any_process",
        '{"shots": 1',
        '{"reason": str(hash("a")), "shots": 1',
        "other options found under PYTHONHASHSEED=",
    ),
]
LOADED = "return load(model, folder)"
MERGE = "\n\n    def merge(self, model):\n        "
LOSS = """

    needs_reference = False

    def texts(self, options, row):
        return [row.answer]

    def objective(self, options, outputs):
        losses = -outputs.log_likelihoods[:, 0]
        return """
LLAMA: list[tuple[str, str, str, str]] = [
    ("refuses_or_learns", '"learning_rate": 1e-3 if', '"learning_rate": 1e-12 if', "the loss on one batch goes from"),
    ("refuses_or_learns", '"per_device_train_batch_size": 8,', "", "leaves per_device_train_batch_size open"),
    ("refuses_or_learns", ENDED, "return adapted.gone\n", "not refused, and then AttributeError"),
    ("takes_a_model", "if not _matching(name, model)", "if True", "it refuses every one of them"),
    ("light_planning", "smallest = min", "import torch\n        smallest = min", "they load torch"),
    ("light_planning", "r * linear.outputs", "r * hash(linear.name)", "another process plans otherwise for llama"),
    (
        "determinism",
        "targets = list(",
        "__import__('torch').seed()\n        targets = list(",
        "differ after two trainings",
    ),
    ("parameter_count", "r * linear.outputs", "r * linear.inputs", "promises 2048; `adapt` leaves 1536 to train"),
    ("precision", ENDED, "return adapted.bfloat16()\n", "these train, but not in float32"),
    ("precision", ENDED, "return adapted.float()\n", "no longer bfloat16 as they came"),
    ("frozen", ENDED, f"adapted.idle = type(parameter)(parameter.detach())\n        {ENDED}", "no gradient: idle"),
    ("saves_and_loads", LOADED, "return model", "the logits of the loaded model differ"),
    ("saves_and_loads", SAVED, f"{SAVED}        (folder / 'more.pkl').touch()\n", "more.pkl: a pickle runs code"),
    ("saves_and_loads", SAVED, f"{SAVED}        model.requires_grad_(False)\n", "`save` changes the model"),
    ("opens_elsewhere", SAVED, f"{SAVED}        _spoil(folder / 'adapter_config.json')\n", "the logits differ by"),
    ("own_loss", LOADED, f"{LOADED}{LOSS}losses.detach()", "gives losses without a gradient"),
    ("own_loss", LOADED, f"{LOADED}{LOSS}losses * float('inf')", "`objective` gives [inf"),
    ("own_loss", LOADED, f"{LOADED}{LOSS}losses.mean()", "`objective` gave () for 4 rows"),
    ("own_loss", LOADED, f"{LOADED}{LOSS}losses - losses.mean()", "depends on the other rows of the batch"),
    ("merges", LOADED, f"{LOADED}{MERGE}return model", "leaves modules that plain transformers does not have"),
    ("merges", LOADED, f"{LOADED}{MERGE}return model.unload()", "the logits of the merged model differ by"),
]
OPTIONS = """    reason: str = "why"
    \"\"\"Column of reasons.\"\"\"
    notes: str = "notes"
    \"\"\"Folder of notes.\"\"\"
"""
METHODS = """
    def refusal(self, options, rows):
        from customspec.hookspecs import Refusal

        return Refusal("too few rows", option="shots") if len(rows) < options.shots else None

    def columns(self, options):
        return {"reason": options.reason}

    def files(self, options):
        return {"notes": options.notes}

    def written(self, options, example):
        return f"{example.fields.get(options.reason)} So: {example.answer}"

    def messages(self, options, query, shots):
        from customspec.prompts import messages

        return messages(query, shots)

    def decoding(self, options):
        from customspec.hookspecs import Sampling

        return Sampling(samples=3, temperature=0.7, top_p=0.9)

    def read(self, options, outputs, choices):
        from collections import Counter

        from customspec.hookspecs import Reading

        found = [text.rpartition("So: ")[2] for text in outputs if "So: " in text]
        votes = Counter(found)
        best = [answer for answer in votes if votes[answer] == max(votes.values())]
        return Reading(best[0] if best else "", votes, len(best) > 1, len(outputs) - len(found))

    def fit(self, options, rows, scorer, seed):
        likely = [sum(scorer({"shots": shots}, rows)) for shots in (1, 2)]
        return {"shots": 1 + (likely[1] > likely[0])}

"""
# stands at the end of each, for what stands in place of a piece
MORE = """
from pathlib import Path  # noqa: E402

def _spoil(config: Path) -> None:
    config.write_text(config.read_text().replace('"lora_alpha": 8', '"lora_alpha": 80'))
"""
