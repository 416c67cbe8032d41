"""What resilience4j's circuit breaker does, case by case: name, source, configuration, script, what is said.

The words of a script are explained at `breakers.play`. Sources are resilience4j's tests (commit af9e7c9), lines of its
code where no test says it, and the field documentation of `CircuitBreakerConfig`. Its tests use a time-based window of
20 s that nothing leaves; here it is a count-based one of 20 calls that nothing leaves either.
"""

from __future__ import annotations

from typing import Any, Final

TESTS: Final = "CircuitBreakerStateMachineTest"
MACHINE: Final = "CircuitBreakerStateMachine"
METRICS: Final = "CircuitBreakerMetrics"
CONFIG: Final = "CircuitBreakerConfig"

FIVE: Final[dict[str, Any]] = {
    "threshold_fraction": 0.5, "window_size": 20, "minimum_calls": 5, "slow_call_s": 4.0, "open_s": 5.0,
    "half_open_calls": 4,
}  # fmt: skip
"""The configuration of `CircuitBreakerStateMachineTest.setUp`."""
HALF: Final[dict[str, Any]] = {"threshold_fraction": 0.5}
"""resilience4j's defaults."""

OPENED: Final = "fail*5 ? "
"""Opens `FIVE` at 0 s."""
PROBING: Final = "fail*5 @6 ask ? "
"""`FIVE` half open at 6 s, one of its four permits used."""

BREAKER_CASES: Final[tuple[tuple[str, str, dict[str, Any], str, str], ...]] = (
    ("opens at the failure rate, once there are the minimum calls",
     f"{TESTS}: shouldOpenAfterFailureRateThresholdExceeded", FIVE,
     "ask fail ask fail ask fail ask ok ? ok ? ask", "yes yes yes yes CLOSED OPEN no"),
    ("a rate equal to the threshold opens",
     f"{TESTS}: shouldOpenAfterFailureRateThresholdExceeded2", FIVE,
     "ok @1 ok @2 ok @3 fail @4 fail ? @5 fail ?", "CLOSED OPEN"),
    ("opens at the slow-call rate; slow failures and slow successes count",
     f"{TESTS}: shouldOpenAfterSlowCallRateThresholdExceeded", FIVE,
     "fail:5 ok:5 fail:0.1 ok:0.1 ? ok:5 ?", "CLOSED OPEN"),
    ("slow successes alone open",
     f"{TESTS}: shouldOpenAfterSlowCallRateThresholdExceededUsingMockClock", FIVE,
     "ok:5 ok:5 ok:1 ok:1 ? ok:5 ?", "CLOSED OPEN"),
    ("open until the wait is over, then half open at the next call",
     f"{TESTS}: shouldTransitionToHalfOpenAfterWaitDuration", FIVE,
     OPENED + "ask @3 ask ? @6 ask ?", "OPEN no no OPEN yes HALF_OPEN"),
    ("half open permits four calls and rejects all more",
     f"{TESTS}: shouldOnlyPermitFourCallsInHalfOpenState", FIVE,
     PROBING + "ask*5 ?", "yes HALF_OPEN yes yes yes no no HALF_OPEN"),
    ("half open again, it permits four calls again",
     f"{TESTS}: shouldOnlyPermitFourCallsInHalfOpenState", FIVE,
     PROBING + "fail*4 ? @12 ask*5 ?", "yes HALF_OPEN OPEN yes yes yes yes no HALF_OPEN"),
    ("a rejection uses nothing and records nothing",
     f"{TESTS}: shouldThrowCallNotPermittedExceptionWhenNotFurtherTestCallsArePermitted", FIVE,
     PROBING + "ask*3 ask*50 ok*3 ? fail ?", "yes HALF_OPEN yes yes yes " + "no " * 50 + "HALF_OPEN CLOSED"),
    ("half open: three failures of four open it again",
     f"{TESTS}: shouldTransitionBackToOpenStateWhenFailureRateIsAboveThreshold", FIVE,
     PROBING + "fail ask fail ask ok ask ? fail ?", "yes HALF_OPEN yes yes yes HALF_OPEN OPEN"),
    ("half open: three slow calls of four open it again",
     f"{TESTS}: shouldTransitionBackToOpenStateWhenSlowCallRateIsAboveThreshold", FIVE,
     PROBING + "ok:5 ok:5 ok:5 ? ok:1 ?", "yes HALF_OPEN HALF_OPEN OPEN"),
    ("half open: one failure of four closes it, with an empty window",
     f"{TESTS}: shouldTransitionBackToClosedStateWhenFailureIsBelowThreshold", FIVE,
     PROBING + "fail ok*3 ask ? fail*4 ? fail ?", "yes HALF_OPEN yes CLOSED CLOSED OPEN"),
    ("half open: no result is judged before the last probe's",
     f"{TESTS}: shouldReleasePermissionWhenExceptionIgnored", FIVE,
     PROBING + "ok ? ok ? ok ? fail ?", "yes HALF_OPEN HALF_OPEN HALF_OPEN HALF_OPEN CLOSED"),
    ("open again, it waits as long again",
     f"{TESTS}: shouldTransitionToHalfOpenAfterWaitDuration", FIVE,
     PROBING + "@7 fail*4 ? @11.5 ask ? @12.5 ask ?", "yes HALF_OPEN OPEN no OPEN yes HALF_OPEN"),
    ("off, it permits everything and records nothing",
     f"{TESTS}: shouldDisableCircuitBreaker", FIVE, "set:1 fail*100 ask ? set:0.5 fail*4 ? fail ?",
     "yes CLOSED CLOSED OPEN"),
    ("being set off closes it and empties its window",
     f"{TESTS}: shouldDisableCircuitBreaker", FIVE, OPENED + "set:1 ? ask set:0.5 ? ask fail*4 ?",
     "OPEN CLOSED yes CLOSED yes CLOSED"),
    ("six failures of the last ten open, with ten as the minimum",
     "CircuitBreakerMetricsTest: testCircuitBreakerMetrics", HALF | {"window_size": 10, "minimum_calls": 10},
     "ok ok fail fail ? fail*4 ok ? ok ?", "CLOSED CLOSED OPEN"),
    ("what leaves the window counts no more",
     "FixedSizeSlidingWindowMetricsTest: testSlidingWindowMetrics", HALF | {"window_size": 4, "minimum_calls": 4},
     "fail ok ok ok ? fail ? fail ?", "CLOSED CLOSED OPEN"),
    ("the slow ones leave the window too",
     "FixedSizeSlidingWindowMetricsTest: testSlidingWindowMetricsWithSlowCalls",
     HALF | {"window_size": 4, "minimum_calls": 4, "slow_call_s": 1.0},
     "ok:2 ok ok ok ? ok:2 ? ok:2 ?", "CLOSED CLOSED OPEN"),
    ("by default a hundred calls are needed", f"{CONFIG}: DEFAULT_MINIMUM_NUMBER_OF_CALLS", HALF,
     "fail*99 ? fail ?", "CLOSED OPEN"),
    ("by default half of a hundred opens", f"{CONFIG}: DEFAULT_FAILURE_RATE_THRESHOLD", HALF,
     "fail*50 ok*49 ? ok ?", "CLOSED OPEN"),
    ("by default 49 of a hundred do not", f"{CONFIG}: DEFAULT_FAILURE_RATE_THRESHOLD", HALF,
     "fail*49 ok*51 ?", "CLOSED"),
    ("by default it opens for 60 s and then permits ten", f"{CONFIG}: DEFAULT_WAIT_DURATION_IN_OPEN_STATE", HALF,
     "fail*100 @60 ask @60.001 ask*11", "no" + " yes" * 10 + " no"),
    ("a call of exactly the slow-call duration is not slow",
     f"{CONFIG}: slowCallDurationThreshold, 'considers a call as slow when the call duration is greater than'", FIVE,
     "ok:4*5 ? ok:4.000000001*5 ?", "CLOSED OPEN"),
    ("failures and slow calls are not added up", f"{METRICS}: checkIfThresholdsExceeded", FIVE,
     "fail*2 ok:5*2 ok ?", "CLOSED"),
    ("a call may be both a failure and slow", f"{METRICS}: onError", FIVE | {"threshold_fraction": 0.6},
     "fail:5*2 ok:5 ok*2 ?", "OPEN"),
    ("7 of 100 are 7 %", f"{METRICS}: checkIfThresholdsExceeded", {"threshold_fraction": 0.07},
     "fail*6 ok*93 ? fail ?", "CLOSED OPEN"),
    ("55 of 100 are 55 %", f"{METRICS}: checkIfThresholdsExceeded", {"threshold_fraction": 0.55},
     "fail*54 ok*45 ? fail ?", "CLOSED OPEN"),
    ("a minimum above the window's size is the window's size", f"{METRICS}: Math.min of the constructor",
     HALF | {"window_size": 5}, "fail*4 ? fail ?", "CLOSED OPEN"),
    ("half open, a minimum above the permits is the permits", f"{METRICS}: forHalfOpen",
     FIVE | {"minimum_calls": 20, "half_open_calls": 2}, "fail*20 @6 ask ok ? ok ?", "yes HALF_OPEN CLOSED"),
    ("half open, a minimum below the permits decides early", f"{METRICS}: forHalfOpen",
     FIVE | {"minimum_calls": 2}, "fail*2 @6 ask*4 ok ? ok ?", "yes yes yes yes HALF_OPEN CLOSED"),
    ("the wait is over only after it", f"{MACHINE}: OpenState.tryAcquirePermission, isAfter", FIVE,
     OPENED + "@5 ask ? @5.000000001 ask ?", "OPEN no OPEN yes HALF_OPEN"),
    ("time alone changes no state",
     f"{CONFIG}: automaticTransitionFromOpenToHalfOpenEnabled, off by default", FIVE,
     OPENED + "@1000 ? ask ?", "OPEN OPEN yes HALF_OPEN"),
    ("half open it waits for its probes for ever",
     f"{CONFIG}: DEFAULT_WAIT_DURATION_IN_HALF_OPEN_STATE, 0", FIVE,
     PROBING + "ask*3 @1000 ask ?", "yes HALF_OPEN yes yes yes no HALF_OPEN"),
    ("what comes back late, when it is open, changes nothing", f"{MACHINE}: OpenState.onSuccess", FIVE,
     OPENED + "ok*50 ? ask @6 ask ?", "OPEN OPEN no yes HALF_OPEN"),
    ("what comes back late does not prolong the wait", f"{MACHINE}: OpenState.onError", FIVE,
     OPENED + "@4 fail*50 ? @6 ask ?", "OPEN OPEN yes HALF_OPEN"),
    ("what comes back late, when it is half open, counts as a probe's", f"{MACHINE}: HalfOpenState.onError", FIVE,
     PROBING + "fail*3 ? fail ? ", "yes HALF_OPEN HALF_OPEN OPEN"),
    ("a probe that comes back when it has closed counts in the new window", f"{MACHINE}: ClosedState.onError", FIVE,
     PROBING + "ask*3 ok*4 ? fail*4 ? fail ?", "yes HALF_OPEN yes yes yes CLOSED CLOSED OPEN"),
)  # fmt: skip
