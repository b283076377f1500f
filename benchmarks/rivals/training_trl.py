"""LoRA trained by TRL's SFT.    training_trl.py MODEL ROWS EPOCHS DTYPE OUT"""

import json
import resource
import sys
import time
from pathlib import Path

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer


def main(model: str, file: str, epochs: str, dtype: str, out: str) -> None:
    rows = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]
    data = Dataset.from_list(
        [
            {
                "prompt": [{"role": "user", "content": row["text"]}],
                "completion": [{"role": "assistant", "content": row["label"]}],
            }
            for row in rows
        ]
    )
    settings = SFTConfig(
        output_dir=out,
        per_device_train_batch_size=8,
        num_train_epochs=int(epochs),
        learning_rate=1e-3,
        bf16=dtype == "bfloat16",
        use_cpu=True,
        save_strategy="no",
        report_to=[],
        gradient_checkpointing=False,
        completion_only_loss=True,
        max_length=512,
        logging_steps=25,
        disable_tqdm=True,
        seed=0,
        model_init_kwargs={"dtype": dtype},
    )
    lora = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = SFTTrainer(model=model, args=settings, train_dataset=data, peft_config=lora)
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    trainer.model.save_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(model)
    lengths = [
        len(tokenizer(tokenizer.apply_chat_template([*row["prompt"], *row["completion"]], tokenize=False))["input_ids"])
        for row in data
    ]
    values = {
        "rows": len(rows) * int(epochs),
        "seconds": seconds,
        "tokens": sum(lengths) * int(epochs),
        "peak_bytes": peak,
        "adapter": out,
    }
    print(json.dumps(values))


if __name__ == "__main__":
    main(*sys.argv[1:])
