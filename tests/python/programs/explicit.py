"""The loop with every call written out: should_report, should_checkpoint, checkpoint."""

import dataclasses
import sys

from coppice import program

sys.path.insert(0, __file__.rsplit('/', 1)[0])
import walk as walks  # noqa: E402


@dataclasses.dataclass
class Settings:
    rate: float = 0.1
    width: int = 4


with program.start(Settings, steps=20) as run:
    walk = walks.Walk(run.settings.width, run.seed)
    if run.resume:
        walk.load(run.resume)
    for step in run.steps():
        walk.step(run.settings.rate)
        walks.hold(run)
        if run.should_report(step):
            run.report(loss=walk.loss())
        if run.should_checkpoint(step):
            run.checkpoint(walk.save)
print('after the end')
