import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestrator.tools.breaker import (
    FAILURES_TO_OPEN,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    CircuitBreaker,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def breaker_without_jitter(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(clock=clock, jitter=lambda: 0.5)


def breaker_that_opened_twice(*, timed_out: bool, clock: Clock | None = None) -> CircuitBreaker:
    breaker = breaker_without_jitter(clock or Clock())
    breaker.failed(timed_out=True)
    breaker.revive(was_away=False)
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed(timed_out=timed_out)
    return breaker


def open_pause_s(breaker: CircuitBreaker) -> int:
    return round(breaker.retry_after_s)


def test_three_failures_in_a_row_open_it():
    breaker = breaker_without_jitter(Clock())
    breaker.failed()
    breaker.failed()
    assert breaker.try_pass()
    breaker.failed()
    assert breaker.state == "open"
    assert not breaker.try_pass()


def test_a_success_in_between_starts_the_count_anew():
    breaker = breaker_without_jitter(Clock())
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert breaker.state == "closed"


def test_one_time_out_opens_it():
    breaker = breaker_without_jitter(Clock())
    breaker.failed(timed_out=True)
    assert open_pause_s(breaker) == FIRST_PAUSE_S


def test_after_the_pause_one_call_at_a_time_may_try():
    clock = Clock()
    breaker = breaker_without_jitter(clock)
    breaker.failed(timed_out=True)
    clock.now += FIRST_PAUSE_S
    assert breaker.state == "half_open"
    assert breaker.try_pass()
    assert not breaker.try_pass()
    breaker.succeeded()
    assert breaker.state == "closed"


def test_every_failed_trial_doubles_the_pause_up_to_ten_minutes():
    clock = Clock()
    breaker = breaker_without_jitter(clock)
    breaker.failed(timed_out=True)
    pauses = []
    for _ in range(7):
        pauses.append(open_pause_s(breaker))
        clock.now += breaker.retry_after_s
        assert breaker.try_pass()
        breaker.failed()
    assert pauses == [30, 60, 120, 240, 480, 600, 600]


def test_a_server_that_lists_and_hangs_in_calls_is_trusted_again_once():
    breaker = breaker_without_jitter(Clock())
    breaker.failed(timed_out=True)
    breaker.revive(was_away=False)
    assert breaker.try_pass()
    breaker.failed(timed_out=True)
    breaker.revive(was_away=False)
    assert open_pause_s(breaker) == 2 * FIRST_PAUSE_S
    assert not breaker.try_pass()


@pytest.mark.parametrize("timed_out", [False, True])
def test_one_call_may_try_as_soon_as_a_server_that_went_away_is_back(timed_out: bool):
    breaker = breaker_that_opened_twice(timed_out=timed_out)
    breaker.revive(was_away=True)
    assert breaker.state == "half_open"
    assert breaker.try_pass()
    assert not breaker.try_pass()
    breaker.succeeded()
    assert breaker.state == "closed"


def test_a_server_that_crashed_and_was_back_before_anybody_looked_may_be_tried_at_once():
    breaker = breaker_that_opened_twice(timed_out=False)
    assert not breaker.try_pass()
    breaker.revive(was_away=False)
    assert breaker.try_pass()


def test_news_of_a_server_do_not_let_a_second_call_beside_the_trial():
    clock = Clock()
    breaker = breaker_that_opened_twice(timed_out=False, clock=clock)
    clock.now += breaker.retry_after_s
    assert breaker.try_pass()
    breaker.revive(was_away=True)
    assert not breaker.try_pass()


def test_a_trial_whose_caller_went_away_leaves_room_for_the_next():
    clock = Clock()
    breaker = breaker_without_jitter(clock)
    breaker.failed(timed_out=True)
    clock.now += FIRST_PAUSE_S
    assert breaker.try_pass()
    breaker.abandoned()
    assert breaker.try_pass()


class BreakerMachine(RuleBasedStateMachine):
    """Whatever happens, the breaker neither sticks nor lets a failing server be hammered."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.jitter = 0.5
        self.breaker = CircuitBreaker(clock=self.clock, jitter=lambda: self.jitter)
        self.running = 0
        self.failures = 0

    @rule(jitter=st.floats(0, 1))
    def change_the_jitter(self, jitter: float) -> None:
        self.jitter = jitter

    @rule(seconds=st.floats(0, 700))
    def let_time_pass(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def begin_a_call(self) -> None:
        state = self.breaker.state
        passed = self.breaker.try_pass()
        assert passed or state != "closed"
        assert not (passed and state == "open")
        self.running += passed

    @precondition(lambda self: self.running)
    @rule(timed_out=st.booleans())
    def fail_a_call(self, timed_out: bool) -> None:
        self.running -= 1
        self.failures += 1
        self.breaker.failed(timed_out=timed_out)
        if timed_out or self.failures >= FAILURES_TO_OPEN:
            assert self.breaker.state != "closed"

    @precondition(lambda self: self.running)
    @rule()
    def succeed_with_a_call(self) -> None:
        self.running -= 1
        self.failures = 0
        self.breaker.succeeded()
        assert self.breaker.state == "closed"

    @precondition(lambda self: self.running)
    @rule()
    def abandon_a_call(self) -> None:
        self.running -= 1
        self.breaker.abandoned()

    @rule(was_away=st.booleans())
    def hear_of_the_server(self, was_away: bool) -> None:
        was_closed = self.breaker.state == "closed"
        self.breaker.revive(was_away=was_away)
        if self.breaker.state == "closed" and not was_closed:
            self.failures = 0

    @invariant()
    def a_pause_is_never_longer_than_the_longest(self) -> None:
        assert 0 <= self.breaker.retry_after_s <= LONGEST_PAUSE_S

    @invariant()
    def it_opens_for_a_trial_once_its_pause_is_over(self) -> None:
        if self.breaker.state == "open":
            assert self.breaker.retry_after_s > 0


TestBreakerMachine = BreakerMachine.TestCase
