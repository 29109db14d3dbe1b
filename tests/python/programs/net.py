"""A small network in torch, with dropout and Adam, whose whole state is in the checkpoint."""

import os
import time

from coppice import program

import torch

with program.start({'learning_rate': 1e-2, 'width': 16}, steps=30) as run:
    torch.set_num_threads(run.threads)
    torch.manual_seed(run.seed)
    model = torch.nn.Sequential(torch.nn.Linear(8, run.settings.width), torch.nn.ReLU(), torch.nn.Dropout(0.2),
                                torch.nn.Linear(run.settings.width, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=run.settings.learning_rate)
    run.set_parameters(sum(p.numel() for p in model.parameters()))

    def save(path):
        torch.save({'model': model.state_dict(), 'optimizer': optimizer.state_dict(), 'random': torch.get_rng_state()}, path)

    def load(path):
        state = torch.load(path)
        model.load_state_dict(state['model'])
        optimizer.load_state_dict(state['optimizer'])
        torch.set_rng_state(state['random'])

    run.load(load)
    for step in run.steps(save=save):
        x = torch.randn(32, 8)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        while 0 < int(os.environ.get('HOLD', 0)) < step and not run.should_stop:
            time.sleep(0.005)
        run.report(loss=loss, weights=sum(p.detach().abs().sum() for p in model.parameters()))
