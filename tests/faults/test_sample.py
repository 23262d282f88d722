"""A part of `make faults` that `make test` has the time for: the same cases each time, others with another seed."""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.faults import campaign
from tests.faults.inflict import BOTH, FAULTS, SAMPLE
from tests.faults.scenarios import SCENARIOS

pytestmark = [pytest.mark.engine, pytest.mark.timeout(420)]
LEAST = 3
"""Cases, however slow the machine is."""
SECONDS = 60.0
"""No case begins later: with the one that is at work then, and the labs' own time, it stays under two minutes."""


def test_a_sample_of_faults_leaves_no_violation() -> None:
    """RECONCILER_FAULTS_SEED=n chooses other cases and another order; how many of them depends on the time."""
    seed = int(os.environ.get("RECONCILER_FAULTS_SEED", "1"))
    print(f"RECONCILER_FAULTS_SEED={seed}")  # noqa: T201 # shown where the test fails
    began, rng, done, said = time.monotonic(), random.Random(seed), campaign.Done(None), list[str]()  # noqa: S311
    # Counting costs a pass for each pair, so a sample is of two of them.
    pairs = list(zip(rng.sample(sorted(SCENARIOS), 2), rng.sample(BOTH, 2), strict=True))
    with campaign.benches(1, SAMPLE) as benches:
        cases = [
            case
            for scenario, transport in pairs
            for case in campaign.cases_of(
                scenario, transport, benches[0].count(SCENARIOS[scenario], transport), list(FAULTS)
            )
        ]
        order = campaign.shuffled(cases, seed)
        campaign.run(
            benches,
            order,
            done,
            said.append,
            lambda: time.monotonic() - began > SECONDS and sum(each.reached for each in done.outcomes) >= LEAST,
        )
        benches[0].drop()
    print("\n".join([*said, done.summary()]))  # noqa: T201
    assert sum(outcome.reached for outcome in done.outcomes) > 0, "\n".join(said)
    assert not done.violations, "\n".join(str(outcome) for outcome in done.violations)
