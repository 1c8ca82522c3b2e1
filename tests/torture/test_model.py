# SPDX-License-Identifier: GPL-3.0-or-later
"""Random sequences of what several initiators and the device do, against a model, byte for byte."""

import random
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from tests.fakes.client import ConnectClient
from tests.torture import acts, device, rare_acts
from tests.torture.budget import Budget
from tests.torture.world import World

_STEPS = 50


def machine_for(connect: ConnectClient, count: Callable[[], None]) -> type[RuleBasedStateMachine]:
    """Make the machine that takes one road; `count` is called for each step."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.held = ExitStack()

        # Chance is not hypothesis's own: how soon the watch sees a change decides what is drawn.
        @initialize(seed=st.integers(0, 1 << 32))
        def begin(self, seed: int) -> None:
            place = Path(self.held.enter_context(tempfile.TemporaryDirectory(dir=Budget.place())))
            roots = (place / "Card", place / "Stick")
            for each in roots:
                each.mkdir()
            client = self.held.enter_context(connect(*roots, allow_format=True))
            self.world = World(client, roots, random.Random(seed))

        @rule(act=st.sampled_from((*acts.ACTS, *rare_acts.ACTS)))
        def initiator(self, act: Callable[[World], object]) -> None:
            count()
            act(self.world)
            self.world.compare()

        @rule(act=st.sampled_from(device.ACTS))
        def device(self, act: Callable[[World], None]) -> None:
            count()
            act(self.world)

        def teardown(self) -> None:
            try:
                if hasattr(self, "world"):
                    self.world.compare_all()
            finally:
                self.held.close()

    return Machine


def test_what_is_visible_is_what_should_be(connect: ConnectClient, budget: Budget) -> None:
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    for seed in budget.seeds():
        machine = hypothesis.seed(seed)(machine_for(connect, count))
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=budget.examples,
                stateful_step_count=_STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                print_blob=False,
                phases=[Phase.generate],
            ),
        )
    budget.tell(f"{steps} steps")
