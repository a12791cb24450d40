"""The form in which words are compared: compatible characters, letter case and white space don't count."""

from __future__ import annotations


def normal(words: str) -> str:
    if not words.isascii():
        from unicodedata import normalize

        words = normalize("NFKC", normalize("NFKC", words).casefold())
    return " ".join(words.casefold().split())
