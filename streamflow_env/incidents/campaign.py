"""Notification campaigns. Their time and size are announced; how many recipients respond is not."""

from __future__ import annotations

from typing import Literal

import numpy as np

from streamflow_env.episode import Announcement, Mark
from streamflow_env.incidents.incident import BaseIncident, Extra, Outbreak, check_class, stretch
from streamflow_env.ranges import (
    CountRange,
    FractionRange,
    LevelRange,
    PositiveSecondsRange,
    SecondsRange,
    draw,
    draw_count,
)
from streamflow_env.system import System
from streamflow_env.system.schema import Count, Fraction, Text


class Campaign(BaseIncident):
    """`num_messages` are sent evenly within `spread_s`. Some recipients open the app, in a burst.

    A request of `messages_class` sends `messages_per_request` of them. The plan is that a share `open_fraction` of the
    recipients opens the app. They make first attempts of `opens_class` within `opens_spread_s`, from `opens_delay_s`
    after the first message on. The actual number is the plan times `noise`. The plan is known `announced_s` before the
    first message; the noise is not. With probability 1 - `announced_chance` nobody has told the operators.
    """

    kind: Literal["campaign"]
    messages_class: Text
    opens_class: Text
    num_messages: CountRange
    spread_s: PositiveSecondsRange
    open_fraction: FractionRange
    opens_delay_s: SecondsRange
    opens_spread_s: PositiveSecondsRange
    announced_s: SecondsRange
    announced_chance: Fraction = 1.0
    noise: LevelRange = (1.0, 1.0)
    messages_per_request: Count = 1

    @property
    def sign_chance(self) -> float:
        return self.announced_chance

    def check(self, system: System) -> None:
        check_class(system, "messages_class", self.messages_class, "background")
        check_class(system, "opens_class", self.opens_class, "interactive")

    def sample(self, rng: np.random.Generator, has_sign: bool = True) -> Outbreak:
        start_s, sent_s = stretch(rng, self.start_s, self.spread_s)
        num_messages = draw_count(rng, self.num_messages)
        planned = num_messages * draw(rng, self.open_fraction)
        opens_s = start_s + draw(rng, self.opens_delay_s)
        opens_spread_s = draw(rng, self.opens_spread_s)
        over_s = opens_s + opens_spread_s
        num_opens = round(planned * draw(rng, self.noise))
        known_from_s = start_s - draw(rng, self.announced_s)
        num_requests = -(-num_messages // self.messages_per_request)
        planned_rps = planned / opens_spread_s
        known = (Announcement(known_from_s, start_s, max(sent_s, over_s), planned_rps),) if has_sign else ()
        return Outbreak(
            marks=(
                Mark(f"campaign, {num_messages} messages", start_s, sent_s),
                Mark(f"campaign, {num_opens} opens of {planned:.0f} planned", opens_s, over_s),
            ),
            extras=(
                Extra(self.messages_class, num_requests, start_s, sent_s),
                Extra(self.opens_class, num_opens, opens_s, over_s, shape="burst"),
            ),
            announcements=known,
        )
