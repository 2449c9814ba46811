"""Replies as models write them, for the tests of the chat log."""

from __future__ import annotations

RICH = """\
# Quick sort

A **short** answer with `code`, *emphasis*, ~~gone~~ and a [link](https://example.com/a?b=c). Also
<https://example.org> and ![a cat](http://example.org/cat.png).

## Steps
1. Pick a pivot
2. Partition:
   - smaller left
   - larger right
     1. deep
     2. deeper
3. Recurse

   with a second paragraph

   ```sh
   make test   # in an item
   ```
4. Done

```python
def quick(xs: list[int]) -> list[int]:
    \"\"\"A string
    of two lines.\"\"\"
    if len(xs) < 2:
        return xs  # done

    return quick([x for x in xs[1:] if x < xs[0]]) + [xs[0]] + quick([x for x in xs[1:] if x >= xs[0]])
```

> A quote with **bold**
> and more
>
> - list in quote

| Name | Cost | Note |
|:-----|-----:|:----:|
| a | 1.5 | best |
| b and long **text** here | 100 | `x` |

* star
* list

  loose
* last
---
<b>html</b> inline &amp; entity

<div>
block
</div>

Title
=====

    indented code

The last paragraph, with a soft break
and a hard break\\
and 中文字符测试，两行。 Emoji 👩‍💻 done.
"""
