"""Labels scored by lm-eval's HF backend.    scoring_lm_eval.py MODEL ROWS DTYPE WORK BATCH

The shots stand in each row's prompt, so that both sides score the very same texts.
"""

import json
import resource
import sys
import time
from pathlib import Path

import lm_eval
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

TASK = """\
task: customspec_bench
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
output_type: multiple_choice
test_split: test
num_fewshot: 0
doc_to_text: prompt
doc_to_target: label
doc_to_choice: choices
target_delimiter: " "
metric_list: [{{metric: acc}}]
"""


def main(model: str, rows: str, dtype: str, work: str, batch: str) -> None:
    folder = Path(work) / "lm_eval"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "customspec_bench.yaml").write_text(TASK.format(rows=Path(rows).resolve()), encoding="utf-8")
    lm = HFLM(pretrained=model, dtype=dtype, device="cpu", batch_size=int(batch))
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    began = time.perf_counter()
    found = lm_eval.simple_evaluate(model=lm, tasks=["customspec_bench"], task_manager=manager, bootstrap_iters=0)
    seconds = time.perf_counter() - began
    texts = [json.loads(line)["prompt"] for line in Path(rows).read_text(encoding="utf-8").splitlines()]
    values = {
        "rows": len(texts),
        "seconds": seconds,
        "tokens": sum(len(lm.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts),
        "accuracy": found["results"]["customspec_bench"]["acc,none"],
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(values))


if __name__ == "__main__":
    main(*sys.argv[1:])
