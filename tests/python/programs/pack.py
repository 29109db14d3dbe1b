"""Several seeds in one process."""

import math
import os
import sys
import time

from coppice import program

sys.path.insert(0, __file__.rsplit('/', 1)[0])
import walk as walks  # noqa: E402

HOLD = int(os.environ.get('HOLD', 0))


def hold(pack, step):
    while 0 < HOLD < step and not pack.should_stop:
        time.sleep(0.005)


with program.start_pack({'rate': 0.1, 'bad': -1}, steps=20, seeds=[0, 1]) as pack:
    walk_of = {member.seed: walks.Walk(4, member.seed) for member in pack.members}
    for member in pack.members:
        member.load(walk_of[member.seed].load)
    for active in pack.steps(save=lambda member, path: walk_of[member.seed].save(path)):
        hold(pack, active[0].step)
        for member in active:
            walk_of[member.seed].step(pack.settings.rate)
            if member.seed == pack.settings.bad and member.step == 5:
                walk_of[member.seed].x[0] = math.inf
            member.report(loss=walk_of[member.seed].loss())
