"""Tables of how training went and of what jobs cost."""

import pandera.pandas as pa

from earwitness.tables.columns import count, number, schema, share, text

HISTORY = schema(
    "history",
    {
        "step": count(means="optimiser step, from 1", minimum=1),
        "loss": number(means="mean loss of the step's stimuli", unit="nats"),
        "learning_rate": number(means="learning rate of the step", check=pa.Check.ge(0)),
        "accuracy": share(means="share of the step's stimuli that the model answers right while it trains"),
    },
)
"""How the training of a base or an adapter went, step by step."""

COSTS = schema(
    "costs",
    {
        "rule": text(means="the rule"),
        "job": text(means="what tells the job from others of its rule; empty where there is one", may_be_empty=True),
        "seconds": number(means="time from start to end; empty where the job was too short to be measured", unit="s", nullable=True),
        "processor_s": number(means="processor time of all its processes", unit="s", nullable=True),
        "memory_mib": number(means="most memory of all its processes together", unit="MiB", nullable=True),
    },
)
"""What every job cost when it last ran; differs from run to run."""
