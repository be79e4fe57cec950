"""The examples of each step, looked up on the device. The oracle is Batches, in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from gdrun.engine.drive import Windows
from gdrun.engine.feed import Feed
from gdrun.engine.state import Batch
from gdrun.schedules.batches import Batches


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": None},
        {"batch_size": 4, "order": "sequential"},
        {"batch_size": 4, "order": "shuffled", "seed": 3},
        {"batch_size": 4, "order": "sampled"},
        {"batch_size": 5, "order": "shuffled"},
        {"batch_size": 4, "order": "shuffled", "drop_remainder": True},
        {"batch_size": None, "order": "shuffled"},
    ],
)
def test_each_step_sees_the_examples_of_its_batch(settings):
    batches = Batches(10, **settings)
    feed = Feed(batches)
    data = Batch({"x": tf.range(20.0)[:, None][:10]}, tf.range(10.0, 20.0))
    window = Windows(feed, None, 8 * feed.epochs.length).at(0)
    for step in range(3 * feed.epochs.length):
        index = batches.batch(step)
        now = tf.constant(step, tf.int64)
        is_remainder = feed.remainder_size > 0 and bool(feed.is_remainder(now))
        assert is_remainder is (len(index) != batches.batch_size)
        batch = feed.batch(data, window.order, window, feed.moment(window, now), remainder=is_remainder)
        np.testing.assert_array_equal(batch.inputs["x"][:, 0], index)
        np.testing.assert_array_equal(batch.target, 10 + index)
        assert batch.num_examples == len(index)


def test_a_window_in_the_middle_of_a_run_continues_the_order():
    batches = Batches(10, 4, order="shuffled")
    feed = Feed(batches, has_factor=True)
    windows = Windows(feed, lambda steps: 1.0 / (1 + steps), 300)
    data = Batch({"x": tf.range(10)}, None)
    for first in (0, 7, 100, 101, 250):
        window = windows.at(first)
        assert windows.last_step(first) > first
        for step in (first, min(first + 4, windows.last_step(first) - 1)):
            now = tf.constant(step, tf.int64)
            moment = feed.moment(window, now)
            batch = feed.batch(data, window.order, window, moment, remainder=bool(feed.is_remainder(now)))
            np.testing.assert_array_equal(batch.inputs["x"], batches.batch(step))
            assert float(moment.factor) == 1 / (1 + step)
            assert int(moment.epoch) == step // 3
            assert int(moment.position) == step % 3


def test_without_data_each_step_is_an_epoch():
    feed = Feed(None)
    window = Windows(feed, None, 5).at(3)
    moment = feed.moment(window, tf.constant(3, tf.int64))
    assert (int(moment.epoch), int(moment.position), moment.factor) == (3, 0, None)
    assert feed.batch(Batch({}, None), window.order, window, moment, remainder=False) == Batch({}, None)
    assert Batch({}, None).num_examples == 1
