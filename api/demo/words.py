"""What a demo company's people and agents say: words, some common and most of them rare.

A few thousand words by Zipf's law, so that a search for one finds many issues, a few, or one.
The words of the trade come first; the others are made of syllables, from the same seed the same.
"""

from __future__ import annotations

import random
from itertools import accumulate

_TRADE = (
    "token", "cache", "importer", "search", "login", "session", "invoice", "webhook", "retry",
    "backoff", "timeout", "index", "query", "cursor", "page", "filter", "export", "report",
    "budget", "lease", "queue", "worker", "replica", "schema", "migration", "column", "lock",
    "batch", "stream", "event", "snapshot", "backup", "restore", "release", "rollback", "deploy",
    "config", "secret", "key", "role", "permission", "audit", "metric", "alert", "dashboard",
    "trace", "log", "error", "crash", "leak", "memory", "latency", "throughput", "quota", "limit",
    "header", "payload", "parser", "encoder", "unicode", "timezone", "calendar", "currency",
    "rounding", "email", "notification", "template", "layout", "button", "menu", "keyboard",
    "contrast", "tooltip", "avatar", "upload", "download", "attachment", "thumbnail", "archive",
    "checksum", "signature", "certificate", "proxy", "socket", "handshake", "reconnect",
    "heartbeat", "shutdown", "startup", "dependency", "license", "changelog", "manual", "tutorial",
    "example", "fixture", "benchmark", "profile", "refactoring", "naming", "typing", "coverage",
)  # fmt: skip
_VERBS = (
    "fix", "speed up", "document", "test", "rewrite", "review", "simplify", "measure", "remove",
    "replace", "split", "extend", "harden", "explain", "automate", "unify",
)  # fmt: skip
_QUALITIES = (
    "slow", "broken", "flaky", "missing", "stale", "wrong", "noisy", "old", "unused", "unsafe",
    "confusing", "duplicate", "empty", "large", "remote", "nightly",
)  # fmt: skip
_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "br", "dr", "kl", "tr")
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("", "", "n", "r", "l", "s", "x", "nd", "rk")


class Words:
    """Titles and texts, drawn with the caller's dice."""

    def __init__(self, seed: int, size: int = 4000) -> None:
        """A vocabulary of `size` words."""
        dice = random.Random(f"{seed}/words")
        made: dict[str, None] = dict.fromkeys(_TRADE)
        while len(made) < size:
            syllables = dice.randint(2, 3)
            made[
                "".join(
                    dice.choice(_ONSETS) + dice.choice(_VOWELS) + dice.choice(_CODAS)
                    for _ in range(syllables)
                )
            ] = None
        self.vocabulary = tuple(made)
        self._weights = list(accumulate(1 / (rank + 10) for rank in range(size)))

    def title(self, dice: random.Random) -> str:
        """What is to be done, in a line."""
        first, second = self._some(dice, 2)
        return f"{dice.choice(_VERBS)} the {dice.choice(_QUALITIES)} {first} {second}".capitalize()

    def text(self, dice: random.Random, least: int, most: int) -> str:
        """Sentences of so many words together."""
        words = self._some(dice, dice.randint(least, most))
        sentences = []
        for start in range(0, len(words), 11):
            sentences.append(" ".join(words[start : start + 11]).capitalize() + ".")
        return " ".join(sentences)

    def _some(self, dice: random.Random, count: int) -> list[str]:
        return dice.choices(self.vocabulary, cum_weights=self._weights, k=count)
