"""Chat templates in the manner of the families that people run, written for these tests.

Each has what makes its family hard: thinking blocks that are looked for and split off, contents that are
stripped, control tokens put together from roles, a system prompt that goes into the first user turn.
"""

from __future__ import annotations

from dataclasses import dataclass

from deepseek_tui.engine.tokenizer import Tokenizer
from tests.engine.tokenizers_for_tests import byte_level

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

THINKING = """
{%- set last = namespace(question=-1) %}
{%- for m in messages %}
    {%- if m.role == 'user' %}{% set last.question = loop.index0 %}{% endif %}
{%- endfor %}
{%- for m in messages %}
    {%- if m.role == 'assistant' %}
        {%- set answer = m.content %}
        {%- set thoughts = '' %}
        {%- if '</think>' in m.content %}
            {%- set thoughts = m.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n')
            %} {%- set answer = m.content.split('</think>')[-1].lstrip('\\n') %} {%- endif %} {{-
            '<|im_start|>assistant\\n' }} {%- if loop.index0 > last.question %} {{- '<think>\\n' ~
            thoughts.strip('\\n') ~ '\\n</think>\\n\\n' }} {%- endif %} {{- answer + '<|im_end|>\\n' }} {%-
            else %} {{- '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' + '\\n' }} {%- endif %} {%-
            endfor %} {%- if add_generation_prompt %} {{- '<|im_start|>assistant\\n' }} {%- if enable_thinking
            is defined and enable_thinking is false %} {{- '<think>\\n\\n</think>\\n\\n' }} {%- endif %} {%-
            endif %}
"""

HEADERS = """
{%- for m in messages %}
    {%- set turn = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + m['content'] | trim +
    '<|eot_id|>' %} {%- if loop.first %}{% set turn = bos_token + turn %}{% endif %} {{- turn }} {%- endfor %}
    {%- if add_generation_prompt %} {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }} {%- endif %}
"""

FULLWIDTH = """
{%- set ns = namespace(system='') -%}
{%- for m in messages if m['role'] == 'system' %}{% set ns.system = ns.system + m['content'] %}{% endfor -%}
{{ bos_token }}{{ ns.system }}
{%- for m in messages %}
    {%- if m['role'] == 'user' %}{{ '<｜User｜>' + m['content'] }}{% endif %}
    {%- if m['role'] == 'assistant' %}
        {%- set content = m['content'] %}
        {%- if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}
        {{- '<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>' }}
    {%- endif %}
{%- endfor -%}
{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\\n' }}{% endif %}
"""

ROLES = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\n' }}{{ m.content | trim }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)

BRACKETS = """
{%- if messages[0].role == 'system' %}
    {%- set system = messages[0].content %}{% set rest = messages[1:] %}
{%- else %}
    {%- set system = '' %}{% set rest = messages %}
{%- endif %}
{{- bos_token }}
{%- for m in rest %}
    {%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('roles must alternate') }}
    {%- endif %}
    {%- if m.role == 'user' %}
        {{- '[INST]' + (system + '\\n\\n' if loop.first and system else '') + m.content + '[/INST]' }}
    {%- else %}
        {{- m.content + eos_token }}
    {%- endif %}
{%- endfor %}
"""


@dataclass(frozen=True)
class Family:
    template: str
    special: tuple[str, ...]
    plain: tuple[str, ...] = ()
    bos: str | None = None
    eos: str = "<|im_end|>"

    def tokenizer(self) -> Tokenizer:
        return Tokenizer(
            byte_level(list(self.special), list(self.plain)).to_str(),
            config={"bos_token": self.bos, "eos_token": self.eos},
            chat_templates={"default": self.template},
        )


FAMILIES = {
    "chatml": Family(CHATML, ()),
    "thinking": Family(THINKING, (), ("<think>", "</think>")),
    "headers": Family(
        HEADERS,
        ("<|begin|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        bos="<|begin|>",
        eos="<|eot_id|>",
    ),
    "fullwidth": Family(
        FULLWIDTH,
        ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"),
        ("<｜User｜>", "<｜Assistant｜>", "<think>", "</think>"),
        bos="<｜begin▁of▁sentence｜>",
        eos="<｜end▁of▁sentence｜>",
    ),
    "roles": Family(ROLES, ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>"), eos="<|end|>"),
    "brackets": Family(BRACKETS, ("<s>", "</s>", "[INST]", "[/INST]"), bos="<s>", eos="</s>"),
}
