"""Ctrl-C and SIGTERM in a training: it ends between two steps, so that what was learned is judged and kept."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Final, Self

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
NOTICE: Final = b"\nstopping: what was learned is judged and kept; once more stops at once\n"


class SignalStop(BaseCallback):
    """Ends the training at a step after one of `SIGNALS`; a second signal does what it did before.

    It is a context manager: signals are received inside, in the main thread of a process. It is to be the first of the
    callbacks, for at the end it takes the steps off that nothing was learned from.
    """

    def __init__(self) -> None:
        super().__init__()
        self._received: int | None = None
        self._handlers: dict[int, Any] = {}
        self._learned_until = 0
        self._is_first_step = True

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._handlers[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    def end(self) -> None:
        """End the process as the signal would have, if there was one.

        Raises:
            KeyboardInterrupt: it was SIGINT.
            SystemExit: it was SIGTERM; the exit code is 143.
        """
        if self._received == signal.SIGINT:
            raise KeyboardInterrupt
        if self._received is not None:
            raise SystemExit(128 + self._received)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._received = number
        self._give_back()
        os.write(2, NOTICE)  # a signal may come while another line is printed, when `print` would raise

    def _give_back(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def _on_training_start(self) -> None:
        self._learned_until = self.model.num_timesteps

    def _on_rollout_start(self) -> None:
        self._is_first_step = True

    def _on_step(self) -> bool:
        """Go on or stop. A replay memory has all steps of a rollout or none, so there it stops at the first one."""
        may_stop = self._is_first_step or isinstance(self.model, OnPolicyAlgorithm)
        self._is_first_step = False
        return self._received is None or not may_stop

    def _on_rollout_end(self) -> None:
        self._learned_until = self.model.num_timesteps

    def _on_training_end(self) -> None:
        self.model.num_timesteps = self._learned_until
