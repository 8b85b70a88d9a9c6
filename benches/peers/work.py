"""The work of a case, read from the same files that descent reads, and the clock of one peer process."""

import argparse
import gzip
import json
import math
import statistics
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
ENOUGH_S = 0.4  # how long one measurement takes at least, as in `descent bench train`


@dataclass
class Case:
    """A sweep file of `benches/cases/`: networks that differ in width or seed, everything else shared."""

    name: str
    kind: str  # "mlp" or a convolution network
    shapes: list  # hidden layers of each network; of convolution networks their kind
    samples: int
    loss: str
    optimizer: dict
    batch: int
    epochs: int
    every: int
    density: float

    def __init__(self, name):
        file = tomllib.loads((ROOT / "benches" / "cases" / f"{name}.toml").read_text())
        model, train, axes = file.get("model", {}), file["train"], file["axes"]
        known = {"width", "seed"}
        data = {"samples": 4000} | file["data"]
        assert set(axes) <= known and data.pop("dataset") == "mnist-4k" and set(data) == {"samples"}, "a case that peers cannot read"
        self.kind, self.samples = model.get("kind", "mlp"), data["samples"]
        if self.kind != "mlp":
            shapes = [self.kind]
        elif "shape" in model:
            shapes = [tuple(int(units) for units in model["shape"].split("-"))]
        else:
            widths = axes.get("width", [model.get("width")])
            shapes = [(width,) * model.get("depth", 1) for width in widths]
        self.name = name
        self.shapes = [shape for shape in shapes for _ in range(axes.get("seed", {"count": 1})["count"])]
        self.loss = train.get("loss", "squared")
        self.optimizer = {"momentum": 0.0, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8} | train["optimizer"]
        self.batch, self.epochs, self.every = train["batch"], train["epochs"], file["evaluate"].get("every")
        self.density = file.get("mask", {}).get("density", 1.0)

    def layers(self, shape):
        """(inputs, outputs) of each layer."""
        units = (784, *shape, 10)
        return list(zip(units, units[1:]))

    def stacks(self):
        """Networks of the same shape, which can be stacked: (shape, how many)."""
        return [(shape, self.shapes.count(shape)) for shape in dict.fromkeys(self.shapes)]

    def flops(self):
        """Useful operations of an epoch: products forwards and backwards, without the gradient of the inputs. None: not counted here."""
        if self.kind != "mlp":
            return None
        samples, total = self.samples, 0
        for shape in self.shapes:
            layers = self.layers(shape)
            weights = sum(rows * columns for rows, columns in layers)
            total += samples * (6 * weights - 2 * layers[0][0] * layers[0][1])
        return total


def data(samples=4000):
    """MNIST, up to 4,000 training and 10,000 test images, the training mean subtracted: (x, y, test x, test y)."""
    folder = ROOT / "training" / "data" / "mnist-4k"

    def read(name, header):
        with gzip.open(folder / f"{name}-ubyte.gz") as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    x = read("train-images-idx3", 16).reshape(-1, 784)[:samples].astype(np.float32) / 255
    test_x = read("t10k-images-idx3", 16).reshape(-1, 784).astype(np.float32) / 255
    mean = x.mean(0)
    return x - mean, read("train-labels-idx1", 8)[:samples].astype(np.int64), test_x - mean, read("t10k-labels-idx1", 8).astype(np.int64)


def initial(case, shape, seed):
    """Glorot-uniform weights [inputs, outputs], biases 0, and masks of the weights."""
    random = np.random.default_rng(seed)
    weights, masks = [], []
    for rows, columns in case.layers(shape):
        limit = math.sqrt(6 / (rows + columns))
        weights.append(random.uniform(-limit, limit, (rows, columns)).astype(np.float32))
        masks.append((random.random((rows, columns)) < case.density).astype(np.float32))
    if case.density < 1:
        weights = [weight * mask for weight, mask in zip(weights, masks)]
    return weights, [np.zeros(columns, np.float32) for _, columns in case.layers(shape)], masks


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", required=True)
    parser.add_argument("--setup", required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--whole", action="store_true", help="train from the start and evaluate on all images as the case says")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--gate", action="store_true", help="say READY when warm, and wait for a line before measuring")
    return parser.parse_args()


def measure(options, case, train, library):
    """Times `train(epochs, whole)`, which returns when all networks are that much further, and prints one JSON object."""
    began = time.perf_counter()
    train(1, False)  # compiles and warms up
    first_s = time.perf_counter() - began
    if options.whole:
        epochs = options.epochs or case.epochs
        if options.epochs is None or "jax" in library:
            train(case.every, True)  # compiles the evaluation
    elif options.epochs:
        epochs = options.epochs
    else:
        began = time.perf_counter()
        train(1, False)
        epochs = max(1, math.ceil(ENOUGH_S / (time.perf_counter() - began)))
    if options.gate:
        print("READY", flush=True)
        sys.stdin.readline()
    all_ms = []
    for _ in range(options.repeat):
        began = time.perf_counter()
        train(epochs, options.whole)
        all_ms.append((time.perf_counter() - began) * 1e3 / epochs)
    epoch_ms, flops = statistics.median(all_ms), None if options.whole else case.flops()
    print(
        json.dumps(
            {
                "library": library,
                "case": case.name,
                "setup": options.setup,
                "threads": options.threads,
                "device": options.device,
                "networks": len(case.shapes),
                "epochs": epochs,
                "evaluations": epochs // case.every if options.whole else 0,
                "epoch_ms": epoch_ms,
                "all_epoch_ms": all_ms,
                "useful_gflops": None if flops is None else flops / epoch_ms / 1e6,
                "first_epoch_s": first_s,
            }
        ),
        flush=True,
    )
