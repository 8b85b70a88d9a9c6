"""The cases in JAX: a whole epoch is one compiled scan, the gathering of samples included.

Set-ups:
  scan  one network after another
  vmap  networks of one shape stacked with jax.vmap, samples in one order for all
"""

import os

import work

options = work.arguments()
os.environ.setdefault("JAX_PLATFORMS", "cuda" if options.device.startswith("cuda") else "cpu")
if options.threads == 1 and options.device == "cpu":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import functools  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

jax.config.update("jax_default_matmul_precision", "float32")
case = work.Case(options.case)
x, y, test_x, test_y = (jnp.asarray(array) for array in work.data())
targets = jax.nn.one_hot(y, 10)
SAMPLES, BATCH = len(x), case.batch
FULL = SAMPLES // BATCH


def network(parameters, images):
    hidden = images
    for place, (weight, bias) in enumerate(parameters):
        hidden = hidden @ weight + bias
        hidden = jax.nn.relu(hidden) if place + 1 < len(parameters) else hidden
    return hidden


def objective(parameters, images, labels, wanted):
    outputs = network(parameters, images)
    if case.loss == "squared":
        return jnp.square(outputs - wanted).sum(-1).mean()
    return -jnp.take_along_axis(jax.nn.log_softmax(outputs), labels[:, None], 1).mean()


def update(parameters, moments, gradients, masks, step):
    """One step of the optimizer; masked weights stay 0."""
    rule = case.optimizer
    tree = jax.tree.map
    if rule["kind"] == "sgd":
        velocity = tree(lambda v, g: rule["momentum"] * v + g, moments[0], gradients)
        parameters, moments = tree(lambda p, v: p - rule["lr"] * v, parameters, velocity), (velocity,)
    else:
        first = tree(lambda m, g: rule["beta1"] * m + (1 - rule["beta1"]) * g, moments[0], gradients)
        second = tree(lambda v, g: rule["beta2"] * v + (1 - rule["beta2"]) * g * g, moments[1], gradients)
        rate = rule["lr"] / (1 - rule["beta1"] ** step)
        scale = 1 / jnp.sqrt(1 - rule["beta2"] ** step)
        parameters = tree(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) * scale + rule["epsilon"]), parameters, first, second
        )
        moments = (first, second)
    if case.density < 1:
        parameters = [(weight * mask, bias) for (weight, bias), mask in zip(parameters, masks)]
    return parameters, moments


def one_step(parameters, moments, masks, step, batch):
    gradients = jax.grad(objective)(parameters, x[batch], y[batch], targets[batch])
    return update(parameters, moments, gradients, masks, step)


def make(stacked):
    # Mapped inside the scan: the batch is gathered once for all networks.
    step = jax.vmap(one_step, in_axes=(0, 0, 0, None, None)) if stacked else one_step

    @functools.partial(jax.jit, donate_argnums=0)
    def epoch(state, masks, key):
        order = jax.random.permutation(key, SAMPLES)

        def body(state, batch):
            parameters, moments, done = state
            parameters, moments = step(parameters, moments, masks, done + 1, batch)
            return (parameters, moments, done + 1), None

        state, _ = jax.lax.scan(body, state, order[: FULL * BATCH].reshape(FULL, BATCH))
        if SAMPLES % BATCH:
            state, _ = body(state, order[FULL * BATCH :])
        return state

    @jax.jit
    def evaluate(parameters):
        def numbers(parameters, images, labels):
            outputs = network(parameters, images)
            loss = objective(parameters, images, labels, jax.nn.one_hot(labels, 10))
            return loss, (outputs.argmax(-1) != labels).mean()

        def both(parameters):
            return numbers(parameters, x, y), numbers(parameters, test_x, test_y)

        return jax.vmap(both)(parameters) if stacked else both(parameters)

    return epoch, evaluate


def initial(shape, seeds, stacked):
    drawn = [work.initial(case, shape, seed) for seed in seeds]
    parts = []
    for place in range(len(drawn[0][0])):
        weight, bias, mask = (np.stack([one[part][place] for one in drawn]) for part in range(3))
        parts.append([jnp.asarray(array if stacked else array[0]) for array in (weight, bias, mask)])
    parameters = [(weight, bias) for weight, bias, _ in parts]
    moments = tuple(
        jax.tree.map(jnp.zeros_like, parameters) for _ in range(2 if case.optimizer["kind"] == "adam" else 1)
    )
    masks = [mask for *_, mask in parts]
    return (parameters, moments, jnp.zeros((), jnp.int32)), masks if case.density < 1 else None


stacked = options.setup == "vmap"
assert options.setup in ("vmap", "scan"), options.setup
functions = {shape: make(stacked) for shape, _ in case.stacks()}


def runners():
    if stacked:
        return [(shape, *initial(shape, range(count), True)) for shape, count in case.stacks()]
    return [(shape, *initial(shape, [seed], False)) for seed, shape in enumerate(case.shapes)]


here = runners()
clock = iter(range(1 << 30))


def train(epochs, whole):
    global here
    after = []
    for shape, state, masks in runners() if whole else here:
        epoch, evaluate = functions[shape]
        for number in range(1, epochs + 1):
            state = epoch(state, masks, jax.random.key(next(clock)))
            if whole and number % case.every == 0:
                jax.device_get(evaluate(state[0]))
        after.append((shape, state, masks))
    jax.block_until_ready(after[-1][1])
    jax.block_until_ready([state for _, state, _ in after])
    if not whole:
        here = after


work.measure(options, case, train, f"jax {jax.__version__}")
