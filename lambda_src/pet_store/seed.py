"""The pets that a new store begins with."""

from __future__ import annotations

from decimal import Decimal

# From id 1 on: name, type, price
PETS = (
    ("Buddy", "dog", Decimal("249.99")),
    ("Whiskers", "cat", Decimal("124.99")),
    ("Nemo", "fish", Decimal("0.99")),
    ("Tweety", "bird", Decimal("49.99")),
    ("Fluffy", "hamster", Decimal("29.99")),
    ("Thumper", "rabbit", Decimal("89.99")),
    ("Max", "dog", Decimal("299.99")),
    ("Luna", "cat", Decimal("149.99")),
    ("Goldie", "fish", Decimal("1.99")),
    ("Polly", "bird", Decimal("79.99")),
    ("Shelly", "turtle", Decimal("39.99")),
    ("Squeaky", "guinea pig", Decimal("34.99")),
    ("Charlie", "dog", Decimal("279.99")),
    ("Mittens", "cat", Decimal("134.99")),
    ("Spike", "lizard", Decimal("59.99")),
)
