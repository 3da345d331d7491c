"""Texts to look at: everything the page can render, as much of it as wanted."""

MARKDOWN = """# A tour of what the page can show

Plain text with **bold**, *italic*, ~~struck~~ and `code`, and a [link](https://example.org).

## Lists

1. First
2. Second, with
   - a nested item
   - another one
3. Third

- [x] Done
- [ ] To do

## A table

| Server       | Tools | State  |
|--------------|------:|--------|
| calculator   |     5 | ready  |
| housekeeping |     6 | ready  |

> A quotation, which
> goes over two lines.

## Code

```python
def fibonacci(count: int) -> list[int]:
    numbers = [0, 1]
    while len(numbers) < count:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[:count]
```

---

Characters from everywhere: Grüße, 日本語, עברית, 👩‍🚀.
"""

REASONING = (
    "The person wants to see how reasoning looks. So I think a little, in plain sentences.\n\n"
    "First, what is known: nothing was asked. Second, what follows: nothing has to be found out. "
    "Third, what would be polite: a short answer that does not pretend to be more than it is."
)
THOUGHT = "I have thought about it, and you can unfold what I thought above. There was not much."

_SENTENCES = (
    "A long answer is a good way to see how the page keeps up while text arrives.",
    "Scroll up a little, and the page should stay where you are reading.",
    "Press Stop, and the stream ends at once, with everything that came so far.",
    "Reload in the middle, and the answer goes on where it was.",
    "Copy a paragraph, search in the page, or make the window as narrow as a phone.",
)


def paragraphs(count: int) -> str:
    """Return numbered paragraphs."""
    return "\n\n".join(
        f"**Paragraph {number}.** " + " ".join(_SENTENCES[number % 5 :] + _SENTENCES[: number % 5])
        for number in range(1, count + 1)
    )
