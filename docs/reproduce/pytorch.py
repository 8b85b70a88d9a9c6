"""Trains the networks that `trace` wrote, in PyTorch, and compares the loss after each of 100 full-batch steps.

    cargo run --release -p descent-training --example trace -- /tmp/trace
    python docs/reproduce/pytorch.py /tmp/trace

Exits with 1 when a loss differs by more than 1e-5 of its value from that of PyTorch in 64-bit floats.
"""

import csv
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

TOLERANCE = 1e-5


def network(weights):
    """The network of a weights file: dense layers with ReLU in between."""
    layers = []
    for index in range(sum(name.endswith(".weight") for name in weights)):
        weight = weights[f"layers.{index}.weight"]
        layers += [torch.nn.Linear(weight.shape[1], weight.shape[0]), torch.nn.ReLU()]
        layers[-2].weight.data = weight.clone()
        layers[-2].bias.data = weights[f"layers.{index}.bias"].clone()
    return torch.nn.Sequential(*layers[:-1])


def objective(kind, outputs, labels):
    """What is minimised: the sum over outputs of squared errors, or cross-entropy; mean over samples."""
    if kind == "cross-entropy":
        return torch.nn.functional.cross_entropy(outputs, labels)
    return (outputs - torch.nn.functional.one_hot(labels, outputs.shape[1])).square().sum(1).mean()


def optimizer(settings, parameters):
    lr = settings["train.optimizer.lr"]
    if settings["train.optimizer.kind"] == "adam":
        return torch.optim.Adam(parameters, lr=lr)
    return torch.optim.SGD(parameters, lr=lr, momentum=settings["train.optimizer.momentum"])


def losses(settings, samples, model):
    """The reported training loss after every step: squared losses are means over outputs too."""
    x, y = samples["x"], samples["y"].long()
    kind = settings["train.loss"]
    rule = optimizer(settings, model.parameters())
    for _ in range(settings["train.epochs"]):
        rule.zero_grad()
        objective(kind, model(x), y).backward()
        rule.step()
        with torch.no_grad():
            loss = objective(kind, model(x).double(), y).item()
        yield loss / (1 if kind == "cross-entropy" else model[-1].out_features)


def shuffled(samples, weights):
    """The same problem with samples and inputs in another order: all that changes is how sums are rounded."""
    rows, columns = torch.randperm(len(samples["y"])), torch.randperm(samples["x"].shape[1])
    first = weights["layers.0.weight"][:, columns]
    return {"x": samples["x"][rows][:, columns], "y": samples["y"][rows]}, weights | {"layers.0.weight": first}


def double(tensors):
    return {name: tensor.double() for name, tensor in tensors.items()}


def largest_difference(found, wanted):
    assert len(found) == len(wanted), (len(found), len(wanted))
    return max(abs(a - b) / b for a, b in zip(found, wanted))


def main(folder):
    paths = sorted(Path(folder).glob("*.json"))
    assert paths, f"{folder} holds no traces"
    worst = 0.0
    print(f"torch {torch.__version__}; largest relative difference of a training loss in 100 steps:")
    print("| case | first loss | last loss | descent, PyTorch 64 bit | descent, PyTorch 32 bit | PyTorch 32, 64 bit | PyTorch 32 bit, reordered |")
    print("|---|---|---|---|---|---|---|")
    for path in paths:
        case = path.name.removesuffix(".json")
        settings = json.loads(path.read_text())
        weights = load_file(path.with_name(f"{case}.initial.safetensors"))
        weights = {name: tensor for name, tensor in weights.items() if name.startswith("layers.")}
        samples = load_file(path.with_name(f"{case}.samples.safetensors"))
        with open(path.with_suffix(".csv"), newline="") as file:
            ours = [float(row["train_loss"]) for row in csv.DictReader(file)]
        exact = list(losses(settings, double(samples), network(double(weights))))
        single = list(losses(settings, samples, network(weights)))
        samples, weights = shuffled(samples, weights)
        reordered = list(losses(settings, samples, network(weights)))
        pairs = [(ours, exact), (ours, single), (single, exact), (reordered, single)]
        differences = [largest_difference(*pair) for pair in pairs]
        cells = " | ".join(f"{difference:.1e}" for difference in differences)
        print(f"| {case} | {ours[0]:.6f} | {ours[-1]:.6f} | {cells} |")
        worst = max(worst, differences[0])
    print(f"largest difference between descent and PyTorch in 64 bit: {worst:.1e} (allowed: {TOLERANCE:.0e})")
    return worst <= TOLERANCE


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(0 if main(sys.argv[1]) else 1)
