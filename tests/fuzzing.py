"""How much is tried where tests make their requests up: the one place of that budget.

The same requests each time, so that a run ends as the one before. FUZZ_FACTOR=20 tries 20 times as many, others each
time: for whoever changes what is called by strangers.
"""

import os

from hypothesis import HealthCheck, Phase, settings

FACTOR = int(os.environ.get("FUZZ_FACTOR", "1"))
SEED = 1

# What schemathesis makes of an openapi.yaml, for each operation, called in this process and over HTTP
IN_PROCESS_EXAMPLES = 40
OVER_HTTP_EXAMPLES = 20 * FACTOR
# Events of every kind, damaged, for each system
EVENTS = 250
TOOL_CALLS = 100
# Values in DynamoDB's form
VALUES = 150
REQUESTS_SIGNED = 150


def budget(examples: int) -> settings:
    """For one property."""
    return settings(
        max_examples=examples * FACTOR,
        derandomize=FACTOR == 1,
        deadline=None,
        report_multiple_bugs=False,
        # a smaller example is worth its minutes only to whoever looks for it
        phases=[phase for phase in Phase if FACTOR > 1 or phase not in (Phase.shrink, Phase.explain)],
        suppress_health_check=list(HealthCheck),
    )
