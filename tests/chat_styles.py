"""Chat templates in the style of well-known models, each with what ends a turn in it."""

from __future__ import annotations

from pathlib import Path

from customspec.inputs.tokens import Chat
from support import CHAT_TEMPLATE, make_tokenizer

CHATML = """\
{%- if messages[0]['role'] != 'system' %}<|system|>be helpful<|end|>
{% endif %}
{%- for message in messages %}
    {{- '<|' + message.role + '|>\\n' + message.content + '<|end|>' + '\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|assistant|>\\n' }}
{%- endif %}
"""
LLAMA = """\
{{- bos_token }}
{%- if not date_string is defined %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|system|>\\n\\nToday Date: " + date_string + "\\n\\n" }}
{%- if tools is not none %}{{- "You have tools." }}{%- endif %}
{%- if documents is not none %}{{- "You have documents." }}{%- endif %}
{{- system_message + "<|end|>" }}
{%- for message in messages %}
    {{- '<|' + message['role'] + '|>\\n\\n'+ message['content'] | trim + '<|end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|assistant|>\\n\\n' }}{%- endif %}
"""
GEMMA = """\
{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages %}
{%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{%- endif %}
{%- set role = 'assistant' if message['role'] == 'assistant' else message['role'] %}
{{- '<|' + role + '|>\\n' + message['content'] | trim + '<|end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}
"""
MISTRAL = """\
{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token }}
    {%- endif %}
{%- endfor %}
"""
MARKED = """\
{% for message in messages %}
<|{{ message.role }}|>
{% generation %}
{{ message.content }}<|end|>
{% endgeneration %}
{% endfor %}
{% if add_generation_prompt %}<|assistant|>{% endif %}
"""
STRIPPING_MARKS = MARKED.replace("{% generation %}", "{%- generation -%}").replace("{% endg", "{%- endg")
SEPARATED = (
    "{% for m in messages %}{{ cls_token }}{{ m.content }}{{ sep_token }}{{ mask_token }}{% endfor %}{{ pad_token }}"
)
JSON = "{% for m in messages %}{{ m | tojson(indent=2) }}<|end|>{% if loop.last %}{% break %}{% endif %}{% endfor %}"

TEMPLATES = {
    "tiny": (CHAT_TEMPLATE, "<|end|>"),
    "chatml": (CHATML, "<|end|>"),
    "llama": (LLAMA, "<|end|>"),
    "gemma": (GEMMA, "<|end|>"),
    "mistral": (MISTRAL, "</s>"),
    "marked": (MARKED, "<|end|>"),
    "stripping-marks": (STRIPPING_MARKS, "<|end|>"),
}


def chat_of(folder: Path, template: str | None) -> Chat:
    """The tiny tokenizer with this template, or none, saved in the folder and read from there."""
    tokenizer = make_tokenizer(chat=False)
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return Chat.load(folder)
