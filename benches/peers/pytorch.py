"""The cases in PyTorch, as its best users would write them.

Set-ups:
  eager    one network after another; autograd, fused optimizer
  graph    (CUDA) the same, each network's step captured in a CUDA graph
  compile  one network after another, the step through torch.compile
  vmap     networks of one shape stacked with torch.func, samples in one order for all
  wide     the same stacked by hand: one wide product for all first layers, batched products after it; autograd, fused optimizer
"""

import os

import torch
import torch.nn.functional as F

import work

options = work.arguments()
case = work.Case(options.case)
torch.set_num_threads(options.threads)
torch.set_float32_matmul_precision("highest")
torch.manual_seed(0)
device = torch.device(options.device)
x, y, test_x, test_y = (torch.from_numpy(array).to(device) for array in work.data(case.samples))
targets = F.one_hot(y, 10).float()
SAMPLES, BATCH = len(x), case.batch


def objective(outputs, labels, wanted):
    """[…, samples, 10] outputs: the mean over samples; squared errors are summed over outputs."""
    if case.loss == "squared":
        return (outputs - wanted).square().sum(-1).mean(-1)
    log = F.log_softmax(outputs, -1)
    return -log.gather(-1, labels.expand(outputs.shape[:-1]).unsqueeze(-1)).squeeze(-1).mean(-1)


def optimizer(parameters):
    rule = case.optimizer
    if rule["kind"] == "adam":
        betas = (rule["beta1"], rule["beta2"])
        return torch.optim.Adam(parameters, lr=rule["lr"], betas=betas, eps=rule["epsilon"], fused=True)
    return torch.optim.SGD(parameters, lr=rule["lr"], momentum=rule["momentum"], fused=True)


def tensors(shape, seed):
    weights, biases, masks = work.initial(case, shape, seed)
    return [[torch.from_numpy(array).to(device) for array in arrays] for arrays in (weights, biases, masks)]


class Runner:
    """Networks that make a step together: `step(batch)` and `outputs(x)`."""

    def epoch(self):
        # Drawn on the device: nothing to wait for.
        order = torch.randperm(SAMPLES, device=device)
        for begin in range(0, SAMPLES, BATCH):
            self.step(order[begin : begin + BATCH])

    @torch.no_grad()
    def evaluate(self):
        """Loss and error of all training and test images."""
        found = []
        for images, labels in ((x, y), (test_x, test_y)):
            outputs = self.outputs(images)
            loss = objective(outputs, labels, F.one_hot(labels, 10).float())
            found.append((loss, (outputs.argmax(-1) != labels).float().mean(-1)))
        return [(loss.tolist(), error.tolist()) for loss, error in found]


class Eager(Runner):
    """One network."""

    def __init__(self, shape, seed):
        weights, biases, masks = tensors(shape, seed)
        modules = []
        for (rows, columns), weight, bias in zip(case.layers(shape), weights, biases):
            layer = torch.nn.Linear(rows, columns, device=device)
            layer.weight.data = weight.T.contiguous()
            layer.bias.data = bias
            modules += [layer, torch.nn.ReLU()]
        self.net = torch.nn.Sequential(*modules[:-1])
        self.masked = [layer.weight.data for layer in self.net if isinstance(layer, torch.nn.Linear)]
        self.masks = [mask.T.contiguous() for mask in masks] if case.density < 1 else []
        self.rule = optimizer(self.net.parameters())
        self.outputs = self.net

    def loss(self, batch):
        outputs = self.net(x[batch])
        if case.loss == "squared":
            return F.mse_loss(outputs, targets[batch], reduction="sum") / len(batch)
        return F.cross_entropy(outputs, y[batch])

    def step(self, batch):
        self.loss(batch).backward()
        self.rule.step()
        self.rule.zero_grad(set_to_none=True)
        if self.masks:
            torch._foreach_mul_(self.masked, self.masks)


def body(kind):
    """The layers of a convolution network, as the sweep file's documentation counts them."""
    nn = torch.nn
    layers = [nn.Unflatten(1, (1, 28, 28))]
    if kind == "lenet-5":
        for inputs, outputs in ((1, 6), (6, 16)):
            layers += [nn.Conv2d(inputs, outputs, 5), nn.ReLU(), nn.MaxPool2d(2)]
        units = (256, 120, 84, 10)
    else:
        assert kind == "conv-2", kind
        layers += [nn.Conv2d(1, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        units = (12544, 256, 256, 10)
    layers.append(nn.Flatten())
    for inputs, outputs in zip(units, units[1:]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return layers[:-1]


class Convolution(Eager):
    """One convolution network."""

    def __init__(self, kind, seed):
        torch.manual_seed(seed)
        self.net = self.outputs = torch.nn.Sequential(*body(kind)).to(device)
        for layer in self.net:
            if hasattr(layer, "weight"):
                torch.nn.init.xavier_normal_(layer.weight)
                torch.nn.init.zeros_(layer.bias)
        self.masked = self.masks = []
        self.rule = optimizer(self.net.parameters())


class Compiled(Eager):
    def __init__(self, shape, seed):
        super().__init__(shape, seed)
        self.loss = torch.compile(self.loss, dynamic=False)


class Graph(Eager):
    """The step of full batches, replayed by the GPU."""

    def __init__(self, shape, seed):
        super().__init__(shape, seed)
        parameters = list(self.net.parameters())
        rule = case.optimizer
        if rule["kind"] == "adam":
            betas = (rule["beta1"], rule["beta2"])
            self.rule = torch.optim.Adam(parameters, lr=rule["lr"], betas=betas, eps=rule["epsilon"], fused=True, capturable=True)
        self.batch = torch.arange(BATCH, device=device)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                Eager.step(self, self.batch)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            Eager.step(self, self.batch)

    def step(self, batch):
        if len(batch) < BATCH:
            Eager.step(self, batch)
        else:
            self.batch.copy_(batch)
            self.graph.replay()


class Wide(Runner):
    """Networks of one shape: all first layers are one matrix, later ones are batches of matrices."""

    def __init__(self, shape, count):
        each = [tensors(shape, seed) for seed in range(count)]
        self.count, self.width = count, shape[0]
        weights, biases, masks = ([torch.stack(parts) for parts in zip(*column)] for column in zip(*each))

        def wide(stacked):
            return stacked.permute(1, 0, 2).reshape(784, count * self.width).contiguous()

        self.first = wide(weights[0]).requires_grad_()
        self.first_bias = biases[0].reshape(-1).clone().requires_grad_()
        self.weights = [weight.requires_grad_() for weight in weights[1:]]
        self.biases = [bias.unsqueeze(1).contiguous().requires_grad_() for bias in biases[1:]]
        self.masked = [self.first.data] + [weight.data for weight in self.weights]
        self.masks = [wide(masks[0])] + masks[1:] if case.density < 1 else []
        self.rule = optimizer([self.first, self.first_bias, *self.weights, *self.biases])

    def outputs(self, images):
        hidden = torch.addmm(self.first_bias, images, self.first).relu()
        hidden = hidden.view(len(images), self.count, self.width).transpose(0, 1)
        for place, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            hidden = torch.baddbmm(bias, hidden if place == 0 else hidden.relu(), weight)
        return hidden

    def step(self, batch):
        objective(self.outputs(x[batch]), y[batch], targets[batch]).sum().backward()
        self.rule.step()
        self.rule.zero_grad(set_to_none=True)
        if self.masks:
            torch._foreach_mul_(self.masked, self.masks)


class Vmap(Runner):
    """Networks of one shape, one network's gradient mapped over stacked parameters; a fused optimizer."""

    def __init__(self, shape, count):
        each = [tensors(shape, seed) for seed in range(count)]
        weights, biases, masks = ([torch.stack(parts) for parts in zip(*column)] for column in zip(*each))
        self.parameters = [*weights, *biases]
        for parameter in self.parameters:
            parameter.requires_grad_()
        self.masked = [weight.data for weight in weights]
        self.masks = masks if case.density < 1 else []
        layers = len(weights)

        def network(parameters, images):
            hidden = images
            for place in range(layers):
                hidden = torch.addmm(parameters[layers + place], hidden, parameters[place])
                hidden = hidden.relu() if place + 1 < layers else hidden
            return hidden

        def loss(parameters, images, labels, wanted):
            return objective(network(parameters, images), labels, wanted)

        self.rule = optimizer(self.parameters)
        self.gradient = torch.func.vmap(torch.func.grad(loss), in_dims=(0, None, None, None))
        self.outputs = lambda images: torch.func.vmap(network, in_dims=(0, None))(self.parameters, images)

    def step(self, batch):
        found = self.gradient([p.detach() for p in self.parameters], x[batch], y[batch], targets[batch])
        for parameter, gradient in zip(self.parameters, found):
            parameter.grad = gradient
        self.rule.step()
        if self.masks:
            torch._foreach_mul_(self.masked, self.masks)


ALONE = {"eager": Eager, "graph": Graph, "compile": Compiled}
STACKED = {"wide": Wide, "vmap": Vmap}


def runners():
    if case.kind != "mlp":
        assert options.setup == "eager", "convolution networks are trained one by one"
        return [Convolution(kind, seed) for seed, kind in enumerate(case.shapes)]
    if options.setup in ALONE:
        return [ALONE[options.setup](shape, seed) for seed, shape in enumerate(case.shapes)]
    return [STACKED[options.setup](shape, count) for shape, count in case.stacks()]


here = runners()


def train(epochs, whole):
    for runner in runners() if whole else here:
        for epoch in range(1, epochs + 1):
            runner.epoch()
            if whole and epoch % case.every == 0:
                runner.evaluate()
    if device.type == "cuda":
        torch.cuda.synchronize()


work.measure(options, case, train, f"torch {torch.__version__}")
# A process of a few seconds has nothing to tidy up.
os._exit(0)
