"""Trains the networks that `trace` wrote, in PyTorch, and compares the loss after each of 100 full-batch steps.

    cargo run --release -p descent-training --example trace -- /tmp/trace
    python docs/reproduce/pytorch.py /tmp/trace

Exits with 1 when a loss differs by more than 1e-5 of its value from that of PyTorch in 64-bit floats, and by more than three times what
that loss itself differs when PyTorch starts from weights that 32-bit floats cannot tell from the given ones: a unit whose input is as good as 0
falls on one side or the other, relu' with it, and from there on training takes another of several ways that are equally right.
"""

import csv
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

TOLERANCE = 1e-5
# Where training parts in ways, how much farther than any of so many neighbours a right program may get: neighbours are a sample.
NEIGHBOURS, MARGIN = 8, 3


class Residual(torch.nn.Module):
    """Two convolutions beside a shortcut without parameters."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(outputs)
        self.conv2 = torch.nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(outputs)
        self.stride, self.before = stride, (outputs - inputs) // 2
        self.behind = outputs - inputs - self.before

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        x = x[:, :, :: self.stride, :: self.stride]
        return (y + torch.nn.functional.pad(x, (0, 0, 0, 0, self.before, self.behind))).relu()


class ResNet(torch.nn.Module):
    """Three stages of three blocks, each stage half as high and wide as the one before."""

    def __init__(self, weights, image):
        super().__init__()
        channels = [weights[f"layer{stage}.0.conv2.weight"].shape[0] for stage in (1, 2, 3)]
        self.image = image
        self.conv1 = torch.nn.Conv2d(image[0], weights["conv1.weight"].shape[0], 3, 1, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(self.conv1.out_channels)
        inputs = self.conv1.out_channels
        for stage, outputs in enumerate(channels):
            blocks = [Residual(inputs if block == 0 else outputs, outputs, 2 if stage > 0 and block == 0 else 1) for block in range(3)]
            self.add_module(f"layer{stage + 1}", torch.nn.Sequential(*blocks))
            inputs = outputs
        self.fc = torch.nn.Linear(inputs, weights["fc.weight"].shape[0])
        self.load_state_dict(weights)

    def forward(self, x):
        x = self.bn1(self.conv1(x.reshape(-1, *self.image))).relu()
        return self.fc(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))


def convolution(kind, weights, image):
    """LeNet-5 (maxima after both convolutions), or pairs of convolutions with maxima after each pair."""
    layers = [torch.nn.Unflatten(1, image)]
    for index in range(sum(name.endswith(".weight") for name in weights)):
        weight = weights[f"layers.{index}.weight"]
        if weight.dim() == 4:
            padding = 0 if kind == "lenet-5" else 1
            layers.append(torch.nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2], padding=padding))
        else:
            layers += [torch.nn.Flatten(), torch.nn.Linear(weight.shape[1], weight.shape[0])]
        layers[-1].weight.data = weight.clone()
        layers[-1].bias.data = weights[f"layers.{index}.bias"].clone()
        layers.append(torch.nn.ReLU())
        if weight.dim() == 4 and (kind == "lenet-5" or index % 2 == 1):
            layers.append(torch.nn.MaxPool2d(2))
    return torch.nn.Sequential(*layers[:-1])


def network(settings, weights):
    """The network of a weights file: dense layers with ReLU in between, or a convolution network."""
    kind = settings.get("model.kind", "mlp")
    if kind == "resnet-20":
        return ResNet(weights, (1, 28, 28)).to(weights["fc.weight"].dtype)
    if kind != "mlp":
        return convolution(kind, weights, (1, 28, 28))
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
        model.eval()
        with torch.no_grad():
            outputs = model(x).double()
        model.train()
        yield objective(kind, outputs, y).item() / (1 if kind == "cross-entropy" else outputs.shape[1])


def shuffled(settings, samples, weights):
    """The same problem with samples and inputs (of images: samples) in another order: all that changes is how sums are rounded."""
    rows, columns = torch.randperm(len(samples["y"])), torch.randperm(samples["x"].shape[1])
    if "model.kind" in settings:
        return {"x": samples["x"][rows], "y": samples["y"][rows]}, weights
    first = weights["layers.0.weight"][:, columns]
    return {"x": samples["x"][rows][:, columns], "y": samples["y"][rows]}, weights | {"layers.0.weight": first}


def double(tensors):
    return {name: tensor.double() for name, tensor in tensors.items()}


def neighbour(weights, seed):
    """The weights in 64 bit, each moved at random by at most half a unit in the last place of its 32-bit float."""
    random = torch.Generator().manual_seed(seed)

    def move(tensor):
        if not tensor.is_floating_point():
            return tensor
        away = torch.rand(tensor.shape, generator=random, dtype=torch.float64) * 2 - 1
        return tensor.double() * (1 + away * 2**-24)

    return {name: move(tensor) for name, tensor in weights.items()}


def spread(settings, samples, weights, exact):
    """How far neighbours have got from PyTorch in 64 bit by each step, at most."""
    runs = [list(losses(settings, double(samples), network(settings, neighbour(weights, seed)))) for seed in range(NEIGHBOURS)]
    farthest, so_far = [], 0.0
    for step, wanted in enumerate(exact):
        so_far = max(so_far, *(abs(run[step] - wanted) / wanted for run in runs))
        farthest.append(so_far)
    return farthest


def beyond(settings, samples, weights, ours, exact):
    """Whether a difference is larger than the tolerance and than the problem's own instability explains; and that instability."""
    differences = [abs(a - b) / b for a, b in zip(ours, exact)]
    if max(differences) <= TOLERANCE:
        return False, None
    allowed = spread(settings, samples, weights, exact)
    return any(d > max(TOLERANCE, MARGIN * own) for d, own in zip(differences, allowed)), max(allowed)


def largest_difference(found, wanted):
    assert len(found) == len(wanted), (len(found), len(wanted))
    return max(abs(a - b) / b for a, b in zip(found, wanted))


def main(folder):
    paths = sorted(Path(folder).glob("*.json"))
    assert paths, f"{folder} holds no traces"
    wrong, unstable = [], []
    print(f"torch {torch.__version__}; largest relative difference of a training loss in 100 steps:")
    print("| case | first loss | last loss | descent, PyTorch 64 bit | descent, PyTorch 32 bit | PyTorch 32, 64 bit | PyTorch 32 bit, reordered |")
    print("|---|---|---|---|---|---|---|")
    for path in paths:
        case = path.name.removesuffix(".json")
        settings = json.loads(path.read_text())
        weights = load_file(path.with_name(f"{case}.initial.safetensors"))
        moments = ("velocity.", "first_moment.", "second_moment.")
        weights = {name: tensor for name, tensor in weights.items() if not name.startswith(moments)}
        samples = load_file(path.with_name(f"{case}.samples.safetensors"))
        with open(path.with_suffix(".csv"), newline="") as file:
            ours = [float(row["train_loss"]) for row in csv.DictReader(file)]
        exact = list(losses(settings, double(samples), network(settings, double(weights))))
        single = list(losses(settings, samples, network(settings, weights)))
        found, own = beyond(settings, samples, weights, ours, exact)
        if found:
            wrong.append(case)
        elif own is not None:
            unstable.append((case, own))
        samples, weights = shuffled(settings, samples, weights)
        reordered = list(losses(settings, samples, network(settings, weights)))
        pairs = [(ours, exact), (ours, single), (single, exact), (reordered, single)]
        differences = [largest_difference(*pair) for pair in pairs]
        cells = " | ".join(f"{difference:.1e}" for difference in differences)
        print(f"| {case} | {ours[0]:.6f} | {ours[-1]:.6f} | {cells} |")
    for case, own in unstable:
        print(f"{case}: parts in ways; PyTorch in 64 bit from {NEIGHBOURS} neighbours of the same weights differs from itself by up to {own:.1e}")
    for case in wrong:
        print(f"{case}: differs by more than {TOLERANCE:.0e} and than the problem's own instability explains")
    return not wrong


if __name__ == "__main__":
    torch.manual_seed(0)
    sys.exit(0 if main(sys.argv[1]) else 1)
