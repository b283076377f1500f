"""LoRA trained by a plain loop over PEFT's model.    training_peft.py MODEL ROWS EPOCHS DTYPE OUT"""

import contextlib
import json
import random
import resource
import sys
import time
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer


def main(model_dir: str, file: str, epochs: str, dtype: str, out: str) -> None:
    rows = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    examples = [encoded(tokenizer, row) for row in rows]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=dtype)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, lora).train()
    optimizer = torch.optim.AdamW([part for part in model.parameters() if part.requires_grad], lr=1e-3, weight_decay=0)
    steps = -(-len(examples) // 8) * int(epochs)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    began = time.perf_counter()
    for epoch in range(int(epochs)):
        order = random.Random(epoch).sample(examples, len(examples))
        for start in range(0, len(order), 8):
            ids, labels, mask = padded(order[start : start + 8], tokenizer.pad_token_id)
            with torch.autocast("cpu", torch.bfloat16) if dtype == "bfloat16" else contextlib.nullcontext():
                loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    model.save_pretrained(out)
    values = {
        "rows": len(rows) * int(epochs),
        "seconds": seconds,
        "tokens": sum(len(prompt) + len(answer) for prompt, answer in examples) * int(epochs),
        "peak_bytes": peak,
        "adapter": out,
    }
    print(json.dumps(values))


def encoded(tokenizer, row):
    turns = [{"role": "user", "content": row["text"]}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    answer = row["label"] + tokenizer.eos_token
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, answer)]


def padded(batch, pad):
    width = max(len(prompt) + len(answer) for prompt, answer in batch)
    ids, labels, mask = [], [], []
    for prompt, answer in batch:
        rest = width - len(prompt) - len(answer)
        ids.append(prompt + answer + [pad] * rest)
        labels.append([-100] * len(prompt) + answer + [-100] * rest)
        mask.append([1] * (width - rest) + [0] * rest)
    return torch.tensor(ids), torch.tensor(labels), torch.tensor(mask)


if __name__ == "__main__":
    main(*sys.argv[1:])
