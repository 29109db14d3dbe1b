"""Learns (a + b) mod p from a fraction of all pairs, and reports how late it generalizes.

The study follows Power et al. (2022), "Grokking: Generalization Beyond Overfitting on Small
Algorithmic Datasets" (https://arxiv.org/abs/2201.02177). The network is the two-layer one of Gromov
(2023), "Grokking modular arithmetic" (https://arxiv.org/abs/2301.02679), which shows the same in
seconds on a CPU. README.md has the command of the whole study.

    python3 train.py --set weight_decay=0.3 --seed 1 --out runs/try      # one run, without a coordinator
"""

import dataclasses
import os
import sys

try:
    from coppice import program
except ImportError:  # not installed: the package lies in this repository
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "python"))
    from coppice import program

import torch
from torch import nn


@dataclasses.dataclass(frozen=True)
class Settings:
    p: int = 31                     # the modulus
    train_fraction: float = 0.5     # of all p * p pairs; the others are for validation
    weight_decay: float = 1.0
    learning_rate: float = 3e-3
    width: int = 128


class Network(nn.Module):
    """Two linear layers with a square between them, of the one-hot codes of a and b."""

    def __init__(self, p: int, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * p, width, bias=False)
        self.output = nn.Linear(width, p, bias=False)

    def forward(self, pairs: torch.Tensor) -> torch.Tensor:
        return self.output(self.hidden(pairs).square())


def all_pairs(p):
    """[p * p, 2 p] codes of the pairs, and their p * p sums."""
    a, b = torch.arange(p).repeat_interleave(p), torch.arange(p).repeat(p)
    codes = torch.cat([nn.functional.one_hot(a, p), nn.functional.one_hot(b, p)], 1).float()
    return codes, (a + b) % p


@torch.no_grad()
def measure(network, pairs, sums):
    logits = network(pairs)
    return nn.functional.cross_entropy(logits, sums).item(), (logits.argmax(1) == sums).double().mean().item()


def main():
    with program.start(Settings, steps=4000, report_every=50, checkpoint_every=1000) as run:
        settings = run.settings
        torch.set_num_threads(run.threads)
        torch.use_deterministic_algorithms(True)
        torch.manual_seed(run.seed)  # of the split and of the first weights
        pairs, sums = all_pairs(settings.p)
        order = torch.randperm(len(pairs))
        count = round(settings.train_fraction * len(pairs))
        train = pairs[order[:count]], sums[order[:count]]
        val = pairs[order[count:]], sums[order[count:]]
        network = Network(settings.p, settings.width)
        optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, betas=(0.9, 0.98),
                                      weight_decay=settings.weight_decay)
        run.set_parameters(sum(parameter.numel() for parameter in network.parameters()))

        # A step takes all training pairs and no random number: weights and moments are the whole state.
        def save(path):
            torch.save([network.state_dict(), optimizer.state_dict()], path)

        def load(path):
            weights, moments = torch.load(path)
            network.load_state_dict(weights)
            optimizer.load_state_dict(moments)

        run.load(load)
        for step in run.steps(save=save):
            loss = nn.functional.cross_entropy(network(train[0]), train[1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if run.should_report(step):
                train_loss, train_accuracy = measure(network, *train)
                val_loss, val_accuracy = measure(network, *val)
                run.report(train_loss=train_loss, train_accuracy=train_accuracy, val_loss=val_loss, val_accuracy=val_accuracy)


if __name__ == "__main__":
    main()
