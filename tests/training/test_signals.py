"""Signals as requests to end well."""

import os
import signal
import threading
import time

import pytest

from gdrun.rundir.run_info import Status
from gdrun.training.signals import Abandoned, StopRequests
from gdrun.training.train import execute


def send(number=signal.SIGINT, after_seconds=0.1):
    threading.Timer(after_seconds, os.kill, (os.getpid(), number)).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_noted_and_the_handlers_come_back(number):
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("ignored here, as under nohup")
    before = {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    with StopRequests() as requests:
        assert requests.signal is None
        os.kill(os.getpid(), number)
        assert requests.signal == number
    assert {name: signal.getsignal(name) for name in before} == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_the_same_signal_again_is_no_second_request_but_ctrl_c_is(number):
    before = signal.getsignal(number)
    with StopRequests() as requests:
        os.kill(os.getpid(), number)
        assert requests.signal == number
        assert signal.getsignal(number) is (signal.SIG_DFL if number == signal.SIGINT else signal.SIG_IGN)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
        if number != signal.SIGINT:
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_what_was_noted_before_training_begins_counts_in_it():
    with StopRequests():
        os.kill(os.getpid(), signal.SIGTERM)
        with StopRequests() as inner:
            assert inner.signal == signal.SIGTERM
    with StopRequests() as requests:
        assert requests.signal is None


def test_a_call_gives_back_its_result_or_its_error():
    with StopRequests() as requests:
        assert requests.call(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            requests.call(divmod, 7, 0)


def test_a_call_that_is_nearly_done_may_finish_after_a_signal(monkeypatch):
    monkeypatch.setattr("gdrun.training.signals.PATIENCE_SECONDS", 5)
    with StopRequests() as requests:
        send()
        assert requests.call(lambda: time.sleep(0.3) or "done") == "done"
        assert requests.signal == signal.SIGINT


def test_a_call_that_takes_too_long_is_abandoned(monkeypatch):
    monkeypatch.setattr("gdrun.training.signals.PATIENCE_SECONDS", 0.05)
    release = threading.Event()
    with StopRequests() as requests:
        send()
        with pytest.raises(Abandoned):
            requests.call(release.wait)
    release.set()


def test_outside_of_the_main_thread_a_call_is_a_call():
    seen = []

    def work():
        with StopRequests() as requests:
            seen.append(requests.call(threading.current_thread))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [thread]


def test_a_run_whose_chunk_never_returns_ends_with_what_it_had(lab, monkeypatch):
    monkeypatch.setattr("gdrun.training.signals.PATIENCE_SECONDS", 0.05)
    prepared = lab.prepare("""
compile: graph
model: {kind: formula, formula: w**2, parameters: {w: 3}}
optimizer: {kind: sgd, learning_rate: 0.1}
schedule: {steps: 10}
""")
    release = threading.Event()
    monkeypatch.setattr(prepared.built.program, "run", lambda *arguments: send() or release.wait())
    # The chunk returns only after this line: a run that waited for it would hang.
    run = execute(prepared, runs_dir=lab.runs)
    release.set()
    assert (run.status, run.info.steps) == (Status.INTERRUPTED, 0)
    assert run.parameters["w"] == 3
