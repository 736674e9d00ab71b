"""Random schedules: a seed says which clicks come, which faults happen, and when. The clocks and
the machine do the rest.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.schedules import faults, network, surroundings
from tests.chaos.schedules.faults import Fault

# How often each fault is chosen, and how long it lasts (for a rewind: how many thousand events it
# takes back).
CHOICES: dict[type[Fault], tuple[float, float, float]] = {
    faults.Kill: (16, 0, 1.5),
    faults.KillForLong: (7, 0, 0),
    faults.Leave: (12, 0, 2),
    faults.Join: (8, 0, 0),
    faults.Pause: (14, 0.2, 3.5),
    faults.Zombie: (12, 0, 0),
    faults.Skew: (5, 0, 1),
    surroundings.Rewind: (7, 0.1, 4),
    network.LostAnswer: (9, 0, 2),
    network.CutConnection: (12, 0, 2),
    network.SlowAnswers: (6, 0.5, 3),
    network.NoConnection: (5, 0.3, 3),
    network.LateWrite: (7, 0, 0),
    network.WriteOfZombie: (6, 0, 0),
    surroundings.MorePartitions: (2, 0, 0),
    surroundings.KafkaDies: (0, 0, 0),
    surroundings.CassandraDies: (0, 0, 0),
}
KINDS = {kind.kind: kind for kind in CHOICES}
# Servers die in every tenth schedule, by the last two digits of its seed: a restart holds up all
# worlds.
DYING = {
    10: ["kafka"],
    20: ["cassandra"],
    30: ["kafka"],
    40: ["cassandra"],
    50: ["kafka", "cassandra"],
}
TOGETHER = "several at once"
CLICKS = (1_200, 3_200)
SECONDS = (1.5, 3.0)


@dataclass
class Schedule:
    """What happens, in seconds after the begin: bursts of clicks (how many), odd records, and
    faults (all of a moment at once).
    """

    seed: int
    seconds: float
    bursts: list[tuple[float, int]]
    odd: list[float]
    faults: list[tuple[float, list[Fault]]]

    @property
    def kinds(self) -> Counter[str]:
        """How often each kind happens in it; several at once are one of their own besides."""
        kinds = [fault.kind for _, together in self.faults for fault in together]
        return Counter(
            [*kinds, *(TOGETHER for _, together in self.faults if len(together) > 1)]
        )


def schedule(seed: int, must: Sequence[str] | None = None, plain: bool = False) -> Schedule:
    """The schedule of a seed; with these faults instead of its own, if some are named; without odd
    records if `plain`.
    """
    chance = random.Random(seed)
    seconds = chance.uniform(*SECONDS)
    weights = [weight for weight, _, _ in CHOICES.values()]
    chosen = chance.choices(
        list(KINDS), weights, k=chance.choices([1, 2, 3], [50, 35, 15])[0]
    ) + DYING.get(seed % 50 or 50, [])
    injected = _injected(chance, seconds, chosen if must is None else must)
    clicks = chance.randint(*CLICKS)
    bursts = []
    while clicks > 0:
        bursts.append(
            (chance.random() * seconds, min(clicks, chance.choice([20, 100, 400])))
        )
        clicks -= bursts[-1][1]
    odd = [] if plain else [chance.random() * seconds for _ in range(chance.randint(2, 7))]
    return Schedule(seed, seconds, sorted(bursts), sorted(odd), injected)


def _injected(
    chance: random.Random, seconds: float, kinds: Sequence[str]
) -> list[tuple[float, list[Fault]]]:
    """When which faults happen: some of them together."""
    injected: list[tuple[float, list[Fault]]] = []
    for kind in map(KINDS.__getitem__, kinds):
        _, low, high = CHOICES[kind]
        fault = kind(chance.randrange(100), chance.uniform(low, high))
        if injected and chance.random() < 0.35:
            injected[-1][1].append(fault)
        else:
            injected.append((chance.uniform(0.05, 0.8) * seconds, [fault]))
    return sorted(injected, key=lambda step: step[0])
