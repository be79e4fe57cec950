"""Programs with a GradientTape, as configs: the same losses and parameters. The oracle is the tape loop itself."""

import numpy as np
import pytest

from . import derivatives, networks, physics, probability
from .program import PROGRAMS

__all__ = ["derivatives", "networks", "physics", "probability"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_config_follows_the_loop_that_people_write(shared_lab, tape_loop, name):
    one = PROGRAMS[name]
    rows = shared_lab.rows(shared_lab.build(one.text))
    drawn = {key: rows[f"parameters.{key}"][0] for key, value in one.start.items() if value is None}
    trace = tape_loop(
        lambda step, **parameters: one.loss(parameters, step),
        {**one.start, **drawn},
        one.optimizer,
        range(one.steps),
        one.dtype,
    )
    np.testing.assert_allclose(rows["loss"][: one.steps], trace["loss"], rtol=one.rtol)
    for key in one.start:
        transform = one.transforms.get(key, lambda raw: raw)
        got, wanted = rows[f"parameters.{key}"][-1], transform(trace[key][-1])
        np.testing.assert_allclose(got, wanted, rtol=one.rtol, atol=one.rtol * np.max(np.abs(wanted)), err_msg=key)
