"""One folder with good data and a good model, and beside them all that can be wrong with either, or with a plugin."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from support import Workspace, colours, make_model

BROKEN_PLUGINS = {
    "broken_import": "import no_such_module_anywhere",
    "quitter": "raise SystemExit(3)",
    "newer_contract": "CUSTOMSPEC_CONTRACT = 99",
    "odd_hook": "from customspec.hookspecs import hookimpl\n@hookimpl\ndef customspec_techniques(modle): return []",
    "empty_offer": "from customspec.hookspecs import hookimpl\n@hookimpl\ndef customspec_techniques(): return []",
    "half_done": """
from customspec.hookspecs import hookimpl
from customspec.spec import PromptingOptions
class Half:
    name, family, summary, options = "half_done", "prompting", "half of a technique", PromptingOptions
@hookimpl
def customspec_techniques(): return [Half()]
""",
    "shouting": """
from customspec.hookspecs import hookimpl
from customspec.spec import PromptingOptions
class Volume(PromptingOptions):
    loud: bool = True
class Shouting:
    name, family, summary, options = "shouting", "prompting", "in capitals", Volume
    def shots(self, options): return 0
    def select(self, options, rows, seed): return lambda query: ()
@hookimpl
def customspec_techniques(): return [Shouting()]
""",
    "metric.broken": "1 / 0",
}


def make_folder(space: Workspace, model: Path) -> None:
    """Fills the folder; `model` is the good one, which is linked to and copied from."""
    (space.root / "model").symlink_to(model)
    make_model(space.root / "larger", hidden_size=64)
    for name, count, start in (("train", 24, 0), ("validation", 12, 100), ("test", 12, 200), ("small", 6, 300)):
        space.rows(f"{name}.jsonl", colours(count, start))
    _rows(space)
    _conversations(space)
    _files(space)
    _lines(space)
    _models(space, model)
    _configured_models(space, model)
    _gguf_models(space)
    _plugins(space)


def _rows(space: Workspace) -> None:
    """Files that can be read, with rows that do not fit."""
    good = colours(6, 400)
    space.rows("single.jsonl", good[:1])
    space.rows("no_label.jsonl", [{"text": row["text"]} for row in good])
    space.rows("uneven.jsonl", [*good, {"text": "number 9 is red", "lable": "warm"}])
    space.rows("two_kinds.jsonl", [*good, {"text": 9, "label": "warm"}])
    space.rows("other_label.jsonl", [*good, {"text": "number 9 is lime", "label": "colt"}])
    space.rows("upper_label.jsonl", [{**row, "label": row["label"].upper()} for row in good])
    space.rows("upper_columns.jsonl", [{"Text": row["text"], "Label": row["label"]} for row in good])
    for name, start in (("spaced", 400), ("spaced_test", 500)):
        spaced = [{"Text Body": row["text"], "label": row["label"]} for row in colours(6, start)]
        space.rows(f"{name}.jsonl", spaced)
    for name, start in (("odd_columns", 400), ("odd_columns_test", 500)):
        odd = [{"  padded": "-", "Beob. Text": row["text"], "label": row["label"]} for row in colours(6, start)]
        space.rows(f"{name}.jsonl", odd)
    space.rows("empty_answer.jsonl", [*good, {"text": "number 9 is red", "label": " "}])
    space.rows("null_answer.jsonl", [*good, {"text": "number 9 is red", "label": None}])
    space.rows("null_text.jsonl", [*good, {"text": None, "label": "warm"}])
    space.rows("long_answer.jsonl", [*good, {"text": "number 9 is red", "label": "warm " * 100}])
    space.rows("one_class.jsonl", [row for row in colours(24) if row["label"] == "warm"])
    space.rows("one_class_test.jsonl", [row for row in colours(12, 200) if row["label"] == "warm"])
    space.rows("grouped.jsonl", [{**row, "customer": "a"} for row in good])
    space.rows("grouped_test.jsonl", [{**row, "customer": "b"} for row in colours(6, 500)])
    seen = [{"text": f"  Number {i}   is {row['text'].split()[-1].upper()}"} for i, row in enumerate(colours(5))]
    space.rows("seen.jsonl", [*colours(3, 200), *({**row, "label": "warm"} for row in seen)])
    space.rows("seen_again.jsonl", [*colours(3, 500), {"text": "number 201 is blue", "label": "cold"}, *colours(1)])
    space.rows("long.jsonl", [*good, {"text": "number 9 is red " * 100, "label": "warm"}])


def _conversations(space: Workspace) -> None:
    """Chat data that is no conversation."""
    talk = [{"role": "user", "content": "red"}, {"role": "assistant", "content": "warm"}]
    other = [{"role": "user", "content": "blue"}, {"role": "assistant", "content": "cold"}]
    space.rows("chat_test.jsonl", [{"talk": other}])
    space.rows("train_as_talk.jsonl", [{"talk": row["text"]} for row in colours(6, 400)])
    space.rows("chat_unknown_role.jsonl", [{"talk": talk}, {"talk": [{"role": "human", "content": "red"}, talk[1]]}])
    space.rows("chat_no_answer.jsonl", [{"talk": talk}, {"talk": talk[:1]}])
    space.rows("chat_empty_turn.jsonl", [{"talk": talk}, {"talk": [talk[0], {"role": "assistant", "content": " "}]}])


def _files(space: Workspace) -> None:
    """Files that cannot be read."""
    row = json.dumps(colours(1)[0])
    space.write("empty.jsonl", "")
    space.write("header_only.csv", "text,label\n")
    space.write("truncated.jsonl", f'{row}\n{row}\n{{"text": "number 3 is te')
    space.write("json_list.jsonl", f"[{row},\n{row}]\n")
    (space.root / "latin1.jsonl").write_bytes(f'{row}\n{{"text": "caf\xe9", "label": "warm"}}\n'.encode("latin-1"))
    space.write("folder/part-1.jsonl", f"{row}\n")
    for name in ("train.txt", "train.pkl", "rows.tar.gz", "rows.xlsx"):
        space.write(name, f"{row}\n")
    space.write("lfs.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    os.mkfifo(space.root / "pipe.jsonl")
    (space.root / "outside.jsonl").symlink_to("/etc/hostname")


def _lines(space: Workspace) -> None:
    """Files with one line that is not what its format says."""
    row = json.dumps(colours(1)[0])
    space.write("ragged.csv", "text,label\nnumber 1 is red,warm\nnumber 2, which is blue,cold\n")
    space.write("semicolons.csv", "text;label\nnumber 1 is red;warm\nnumber 2 is blue;cold\n")
    space.write("twice.jsonl", f'{row}\n{{"text": "a", "label": "warm", "text": "b"}}\n')
    space.write("nan.jsonl", f'{row}\n{{"text": NaN, "label": "warm"}}\n')
    space.write("surrogate.jsonl", f'{row}\n{{"text": "\\ud800", "label": "warm"}}\n')
    space.write("single_quotes.jsonl", "{'text': 'number 1 is red', 'label': 'warm'}\n")
    space.write("comma.jsonl", f"{row},\n{row},\n")
    space.write("columns.json", '{"text": ["a", "b"], "label": ["warm", "cold"]}\n')
    space.write("page.jsonl", "<!DOCTYPE html>\n<html><body>404 Not Found</body></html>\n")


def _copy(space: Workspace, good: Path, name: str, *without: str) -> Path:
    target = space.root / "models" / name
    shutil.copytree(good, target, ignore=shutil.ignore_patterns(*without))
    return target


def _models(space: Workspace, good: Path) -> None:
    """Copies of the good model, each without one file, or with another in its place."""
    _copy(space, good, "no_config", "config.json")
    _copy(space, good, "no_weights", "*.safetensors")
    _copy(space, good, "no_tokenizer", "tokenizer*", "special_tokens_map.json", "chat_template.jinja")
    (_copy(space, good, "pickle_only", "*.safetensors") / "pytorch_model.bin").write_bytes(b"\x80\x04")
    lfs = _copy(space, good, "not_safetensors") / "model.safetensors"
    lfs.write_text("version https://git-lfs.github.com/spec/v1\n")
    header = json.dumps({"lm_head.weight": {"dtype": "F32", "shape": [300, 32], "data_offsets": [0, 38_400]}}).encode()
    truncated = _copy(space, good, "truncated") / "model.safetensors"
    truncated.write_bytes(struct.pack("<Q", len(header)) + header + bytes(20_000))
    longer = _copy(space, good, "longer") / "model.safetensors"
    longer.write_bytes(longer.read_bytes() + bytes(99))
    index = {"metadata": {}, "weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}
    shards = _copy(space, good, "missing_shard", "*.safetensors") / "model.safetensors.index.json"
    shards.write_text(json.dumps(index))
    pickled = _copy(space, good, "pickled_shard", "*.safetensors")
    (pickled / "model.safetensors.index.json").write_text(
        '{"metadata": {}, "weight_map": {"lm_head.weight": "pytorch_model.bin"}}'
    )
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x04")
    endless = _copy(space, good, "endless_offset") / "model.safetensors"
    header = b'{"lm_head.weight": {"dtype": "F32", "shape": [300, 32], "data_offsets": [0, 1e400]}}'
    endless.write_bytes(struct.pack("<Q", len(header)) + header + bytes(38_400))
    listed = _copy(space, good, "listed_metadata") / "model.safetensors"
    listed.write_bytes(_with_header(listed.read_bytes(), lambda told: {**told, "__metadata__": ["pt"]}))
    bare = _copy(space, good, "bare_index") / "model.safetensors"
    bare.rename(bare.with_name("one.safetensors"))
    bare.with_name("model.safetensors.index.json").write_text('{"weight_map": {"lm_head.weight": "one.safetensors"}}')
    os.truncate(_copy(space, good, "of_holes") / "model.safetensors", 1 << 31)
    space.write("models/adapter/adapter_config.json", '{"peft_type": "LORA", "base_model_name_or_path": "model"}')
    of_links = _copy(space, good, "of_links", "config.json")
    (of_links / "config.json").symlink_to("/etc/hostname")
    os.mkfifo(_copy(space, good, "of_a_pipe", "config.json") / "config.json")
    space.write("models/text.gguf", "a model, one day\n")
    space.write("site/tiny_models/__init__.py", "")
    space.write("site/tiny_models/tiny.Q8.gguf", "a model, one day\n")


def _with_header(content: bytes, change: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    """A safetensors file with another header."""
    end = 8 + struct.unpack("<Q", content[:8])[0]
    text = json.dumps(change(json.loads(content[8:end]))).encode()
    return struct.pack("<Q", len(text)) + text + content[end:]


def _configured_models(space: Workspace, good: Path) -> None:
    """Copies of the good model with another config, tokenizer or chat template."""
    make_model(space.root / "models" / "gpt2", "gpt2")
    make_model(space.root / "models" / "state_space", "mamba", state_size=8, conv_kernel=3, expand=2, time_step_rank=8)
    _change(_copy(space, good, "encoder") / "config.json", architectures=["BertModel"], model_type="bert")
    _change(_copy(space, good, "encoder_decoder") / "config.json", is_encoder_decoder=True)
    _change(_copy(space, good, "of_t5") / "config.json", model_type="t5")
    _change(_copy(space, good, "unknown_type") / "config.json", model_type="no_such_type")
    _change(_copy(space, good, "no_end") / "tokenizer_config.json", eos_token=None)
    _change(_copy(space, good, "wide_tokenizer") / "config.json", vocab_size=200)
    own = _copy(space, good, "own_code")
    _change(own / "config.json", model_type="no_such_type", auto_map={"AutoModelForCausalLM": "modeling.Model"})
    (own / "modeling.py").write_text("raise SystemExit('a model ran its own code')\n")
    _change(_copy(space, good, "many_layers") / "config.json", num_hidden_layers=10**9)
    _change(_copy(space, good, "wider_config") / "config.json", hidden_size=64)
    _change(_copy(space, good, "many_pictures") / "config.json", vision_config={"num_hidden_layers": 10**9})
    _change(_copy(space, good, "quantized") / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})
    _change(_copy(space, good, "endless_width") / "config.json", hidden_size=10**400)
    rotary = {"rope_type": "default", "rope_theta": 0}
    _change(_copy(space, good, "no_rotation") / "config.json", rope_parameters=rotary)
    _change(_copy(space, good, "no_epsilon") / "config.json", rms_norm_eps=float("nan"))
    _drop(_copy(space, good, "without_head") / "model.safetensors", "lm_head.weight")
    (_copy(space, good, "deep_config") / "config.json").write_text('{"a":' * 100_000)
    (_copy(space, good, "bad_config") / "config.json").write_text('{"model_type": "llama",')
    (_copy(space, good, "bad_chat") / "chat_template.jinja").write_text("{% for message in messages %}")
    _change_tokenizer(_copy(space, good, "at_random"), dropout=0.5)
    _change_tokenizer(_copy(space, good, "far_token"), vocab={"zz": 2**32 - 1})
    (_copy(space, good, "no_tokens") / "tokenizer.json").write_text("null")
    (_copy(space, good, "bad_map") / "special_tokens_map.json").write_text('{"eos_token": {"content": 5}}')
    (_copy(space, good, "bad_generation") / "generation_config.json").write_text("not JSON")
    endless = "{{ messages[0].content }}{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    (_copy(space, good, "empty_chat") / "chat_template.jinja").write_text("")
    (_copy(space, good, "endless_chat") / "chat_template.jinja").write_text(endless)


def _gguf_models(space: Workspace) -> None:
    """GGUF files of a few bytes, whose headers promise what cannot be."""

    def text(value: bytes, size: int | None = None) -> bytes:
        return struct.pack("<Q", len(value) if size is None else size) + value

    def key(name: bytes, kind: int, form: str, value: float) -> bytes:
        return text(name) + struct.pack(f"<I{form}", kind, value)

    def model(name: str, keys: Sequence[bytes], tensor: bytes = b"", *, keys_promised: int | None = None) -> None:
        counts = struct.pack("<IQQ", 3, bool(tensor), len(keys) if keys_promised is None else keys_promised)
        content = b"GGUF" + counts + b"".join(keys) + tensor
        (space.root / "models" / f"{name}.gguf").write_bytes(content + bytes(-len(content) % 32) + bytes(64))

    architecture = text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    embedding = text(b"token_embd.weight") + struct.pack("<I2QIQ", 2, 4, 4, 0, 0)
    model("many_keys", [architecture], keys_promised=2**60)
    model("long_text", [text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama", 2**60)])
    model("many_layers", [architecture, key(b"llama.block_count", 4, "I", 10**9)], embedding)
    model("other_width", [architecture, key(b"llama.embedding_length", 4, "I", 2**31 - 1)], embedding)
    model("not_a_number", [architecture, key(b"llama.rope.freq_base", 6, "f", float("nan"))], embedding)
    model("far_away", [architecture], embedding[:-8] + struct.pack("<Q", 2**62))
    model("odd_numbers", [architecture], embedding[:-12] + struct.pack("<IQ", 99, 0))
    escape = text(b"\x1b[2Jevil") + struct.pack("<I", 99)
    model("odd_value", [architecture, escape], embedding)
    model("evil_name", [text(b"general.architecture") + struct.pack("<I", 8) + text(b"\x1b[2Jevil")], embedding)


def _drop(file: Path, name: str) -> None:
    """The safetensors file, whole and well formed, without one of its tensors."""
    from safetensors.numpy import load_file, save_file

    save_file({other: numbers for other, numbers in load_file(file).items() if other != name}, file)


def _change(file: Path, **values: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def _change_tokenizer(folder: Path, *, vocab: Mapping[str, int] = MappingProxyType({}), **values: object) -> None:
    """More tokens, and other values, in the tokenizer's model."""
    file = folder / "tokenizer.json"
    told = json.loads(file.read_text())
    told["model"] |= {**values, "vocab": {**told["model"]["vocab"], **vocab}}
    file.write_text(json.dumps(told))


def _plugins(space: Workspace) -> None:
    """Installed distributions, in `plugins`, each with one thing that is wrong."""
    for entry, source in BROKEN_PLUGINS.items():
        module = f"broken_{entry.rpartition('.')[2]}_plugin"
        space.write(f"plugins/{module}.py", source)
        _distribution(space, f"customspec-{entry.rpartition('.')[2].replace('_', '-')}", {entry: module})
    for name in ("one", "two"):
        _distribution(space, f"claims-{name}", {"claimed": f"claims_{name}"})


def _distribution(space: Workspace, name: str, entries: dict[str, str]) -> None:
    folder = f"plugins/{name.replace('-', '_')}-1.0.dist-info"
    space.write(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = "".join(f"{entry} = {module}\n" for entry, module in entries.items())
    space.write(f"{folder}/entry_points.txt", f"[customspec]\n{lines}")
