"""Measures descent beside PyTorch and JAX: the same work in fresh processes that take turns, pinned to cores.

    cargo build --release
    python3 benches/peers/run.py --descent target/release/descent --raw docs/performance/raw --document docs/performance.md

Makes a virtual environment with the pinned versions for each kind of device if there is none, prints medians, ratios pair by pair and their spread as
Markdown, and writes every number to `--raw`. `--quick` takes one round with the most important peers; `--rows` picks rows; `--document` puts the tables into a document;
`--device cuda` measures packs on a GPU instead. Where somebody whom a row is about did not run, the document stays as it is and the exit code is 1.

Rounds go A B C A B C …; a ratio is taken within a round and its median is shown, with the smallest and largest behind it. Every
process warms up first and is timed without imports, reading of data and compilation. Where the system allows, processes run
with real-time priority, so that nothing else on the machine is measured with them.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CASES = HERE.parent / "cases"
ENVIRONMENT = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "RAYON_NUM_THREADS": "1",
    # The C library gives large blocks back to the system and faults them in again at every step: PyTorch gains a third on wide networks.
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
}

# Row: what it shows, rounds, then the contenders. Ours is first; the others are named by library, set-up and how they use two cores.
CPU = {
    "widths-24": ("24 widths 3 … 1000, one thread", 3, ["descent", "torch eager", "jax scan"]),
    "widths-24-two": (
        "24 widths 3 … 1000, two cores",
        2,
        ["descent x2", "torch eager 2p", "torch eager 2t", "jax scan 2p", "jax scan 2t"],
    ),
    "small-16": (
        "16 networks of H = 8, one thread",
        3,
        ["descent", "torch eager", "torch vmap", "torch wide", "jax vmap", "jax scan"],
    ),
    "medium-16": ("16 networks of H = 64, one thread", 2, ["descent", "torch eager", "torch wide", "jax vmap"]),
    "wide": ("one network of H = 512, one thread", 2, ["descent", "torch eager", "torch compile", "jax scan"]),
    "lenet-300-100": (
        "LeNet-300-100, Adam, batch 60, 10 seeds, one thread",
        2,
        ["descent", "torch eager", "torch wide", "jax scan"],
    ),
    "lenet-300-100-masked": (
        "the same with a fifth of the weights",
        2,
        ["descent", "torch eager", "torch wide", "jax scan"],
    ),
    "lenet-5": ("LeNet-5, Adam, batch 60, 2 seeds, one thread", 2, ["descent", "torch eager"]),
    "conv-2": ("Conv-2 on 600 images, Adam, batch 60, one thread", 2, ["descent", "torch eager"]),
    "fastfood": (
        "784-200-200-10, batch 128, 4 seeds: directly and in subspaces, one thread",
        3,
        ["descent", "torch eager", "descent fastfood-1000", "descent fastfood-10000"],
    ),
    "evaluated": (
        "24 widths, one thread, trained from the start, evaluated on all 14,000 images every 5th epoch",
        1,
        ["descent whole", "torch eager whole", "jax scan whole"],
    ),
}
CUDA = {
    "pack-128x64": (
        "128 networks of H = 64",
        3,
        ["descent", "torch eager", "torch graph", "torch vmap", "torch wide", "jax vmap"],
    ),
    "pack-1024x8": (
        "1,024 networks of H = 8",
        3,
        ["descent", "torch eager", "torch graph", "torch vmap", "torch wide", "jax vmap"],
    ),
}
CASE_OF = {"widths-24-two": "widths-24", "fastfood": "fastfood-direct", "evaluated": "widths-24"}
# What is aimed at on a core whose AVX-512 units are full width: the ratio to a peer; several names: the best of them.
TARGETS = [
    ("widths-24", ["torch eager"], 3.4),
    ("widths-24", ["jax scan"], 1.3),
    ("widths-24-two", ["torch eager 2p", "torch eager 2t"], 3.3),
    ("widths-24-two", ["jax scan 2p", "jax scan 2t"], 1.25),
    ("small-16", ["torch eager"], 15),
    ("small-16", ["torch vmap"], 10),
    ("small-16", ["torch wide"], None),
    ("small-16", ["jax vmap"], 1.2),
    ("medium-16", ["torch eager"], None),
    ("medium-16", ["jax vmap"], None),
    ("wide", ["torch eager", "torch compile"], None),
    ("wide", ["jax scan"], None),
    ("lenet-300-100", ["torch eager", "torch wide"], 2),
    ("lenet-300-100", ["jax scan"], None),
    ("lenet-300-100-masked", ["torch eager", "torch wide"], 2),
    ("lenet-300-100-masked", ["jax scan"], None),
    ("lenet-5", ["torch eager"], None),
    ("conv-2", ["torch eager"], None),
    ("fastfood", ["torch eager"], None),
    ("evaluated", ["torch eager whole"], None),
    ("evaluated", ["jax scan whole"], None),
]
# Never the best of their library but for noise, or slow to start: one round, and none with --quick.
FIRST_ROUND_ONLY = ("torch eager 2t", "jax scan 2t", "torch compile")
EVALUATED_EPOCHS = 20


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--descent", type=Path, default=HERE.parents[1] / "target" / "release" / "descent")
    parser.add_argument("--venv", type=Path, help="environment of the peers [default: one for each device in ~/.cache/descent]")
    parser.add_argument("--raw", type=Path, help="folder for every number, one JSON file a row, and the tables")
    parser.add_argument("--document", type=Path, help="a Markdown file whose part between the two `run.py` comments is replaced")
    parser.add_argument("--rows", nargs="+", help="only these rows (and `end-to-end`, `memory`)")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    parser.add_argument("--repeat", type=int, default=3, help="measurements in each process")
    parser.add_argument("--rounds", type=int, help="rounds of every row")
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


def python(venv, device):
    """The interpreter with the peers; makes the environment when there is none, or only a part of one, or one of other versions."""
    venv = venv or Path.home() / ".cache" / "descent" / f"peers-{device.split(':')[0]}"
    found, complete = venv / "bin" / "python", venv / "complete"
    wanted = (HERE / "requirements.txt").read_text()
    if not complete.exists() or complete.read_text() != wanted:
        print(f"making {venv} (once)", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        install = [found, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements.txt"]
        if device == "cpu":
            install += ["--extra-index-url", "https://download.pytorch.org/whl/cpu"]
        else:
            install += ["jax[cuda12]==0.10.2"]
        subprocess.run(install, check=True)
        complete.write_text(wanted)
    return found


def pinned(cores, real_time=True):
    """What a process does before it starts: keeps to its cores, and goes before everybody else if it may."""

    def prepare():
        os.sched_setaffinity(0, cores)
        try:
            if real_time:
                os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(50))
            else:
                # Several threads that take turns on one core need the fair scheduler.
                os.nice(-20)
        except PermissionError:
            pass

    return prepare


def start(command, cores, real_time=True, **options):
    threads = {"OMP_NUM_THREADS": str(len(cores)), "MKL_NUM_THREADS": str(len(cores))}
    environment = os.environ | ENVIRONMENT | threads
    return subprocess.Popen(
        [str(part) for part in command], env=environment, preexec_fn=pinned(cores, real_time), text=True, stdout=subprocess.PIPE, **options
    )


def answer(process, what):
    out, error = process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"{what} ended with {process.returncode}: {(error or '').strip().splitlines()[-1:]}")
    return out


class Bench:
    def __init__(self, options):
        self.options = options
        self.peers = python(options.venv, options.device)
        self.cores = sorted(os.sched_getaffinity(0))
        self.rounds = {}
        # Those whom a row is about, and who ran in none of its rounds.
        self.missing = []

    def descent(self, case, words):
        options = ["--repeat", self.options.repeat, "--format", "json", "--device", self.device()]
        threads = 2 if "x2" in words else 1
        if "whole" in words:
            options += ["--whole", "--epochs", EVALUATED_EPOCHS, "--repeat", 1]
        cores = self.cores[-threads:] if self.options.device == "cpu" else self.cores
        command = [self.options.descent, "bench", "train", "--case", case, "--threads", threads, *dedup(options)]
        return json.loads(answer(start(command, cores, stderr=subprocess.PIPE), "descent"))[0]

    def device(self):
        return "cuda:0" if self.options.device == "cuda" else "cpu"

    def peer(self, case, words):
        script = {"torch": "pytorch.py", "jax": "jax_peer.py"}[words[0]]
        processes, threads = 2 if "2p" in words else 1, 2 if "2t" in words else 1
        command = [self.peers, HERE / script, "--case", case, "--setup", words[1], "--threads", threads]
        command += ["--repeat", self.options.repeat, "--device", self.options.device]
        if "whole" in words:
            command = [*command[:-4], "--repeat", 1, "--whole", "--epochs", EVALUATED_EPOCHS, "--device", self.options.device]
        if processes == 1:
            cores = self.cores[-threads:] if self.options.device == "cpu" else self.cores
            return json.loads(answer(start(command, cores, stderr=subprocess.PIPE), " ".join(words)))
        # Each process trains all networks; they start together, and two cases in the time of one halve it.
        both = [start([*command, "--gate"], [core], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) for core in self.cores[-2:]]
        for process in both:
            assert process.stdout.readline().strip() == "READY", "a peer broke"
        for process in both:
            process.stdin.write("go\n")
            process.stdin.flush()
        found = [json.loads(answer(process, " ".join(words))) for process in both]
        slower = max(found, key=lambda one: one["epoch_ms"])
        return slower | {
            "processes": 2,
            "epoch_ms": slower["epoch_ms"] / 2,
            "useful_gflops": None if slower["useful_gflops"] is None else slower["useful_gflops"] * 2,
        }

    def contender(self, name, case):
        words = name.split()
        if words[0] != "descent":
            return self.peer(case, words)
        own = [word for word in words[1:] if word.startswith("fastfood")]
        return self.descent(own[0] if own else case, words)

    def row(self, row, rounds, contenders):
        case, found = CASE_OF.get(row, row), []
        for number in range(rounds):
            this = {}
            for name in contenders:
                if number > 0 and name in FIRST_ROUND_ONLY:
                    continue
                began = time.time()
                try:
                    this[name] = self.contender(name, case)
                except (RuntimeError, AssertionError, json.JSONDecodeError) as error:
                    print(f"{row}: {name} left out: {error}", file=sys.stderr)
                    continue
                took = time.time() - began
                print(f"{row} {number + 1}/{rounds}: {name} {this[name]['epoch_ms']:.1f} ms ({took:.0f} s)", file=sys.stderr)
            found.append(this)
        self.rounds[row] = found
        needed = {contenders[0]} | {name for of, peers, _ in TARGETS if of == row for name in peers}
        ran = {name for this in found for name in this}
        self.missing += [f"{row}: {name}" for name in contenders if name in needed - ran]
        return found

    def end_to_end(self, workers, case="widths-24", changes=(), pack=32):
        """`descent run` in an empty folder: its wall time, start to end, and its largest memory."""
        with tempfile.TemporaryDirectory() as folder:
            text = (CASES / f"{case}.toml").read_text()
            for old, new in changes:
                assert old in text, old
                text = text.replace(old, new)
            sweep = Path(folder) / "sweep.toml"
            sweep.write_text(text)
            command = [self.options.descent, "run", sweep, "--db", f"sqlite:{folder}/bench.db", "--workers", workers]
            command += ["--device", "cpu", "--pack", pack, "--no-figure", "--progress", "none", "--format", "json"]
            began = time.perf_counter()
            with open(Path(folder) / "out", "w") as out:
                environment = os.environ | ENVIRONMENT
                process = subprocess.Popen(
                    [str(part) for part in command],
                    env=environment,
                    preexec_fn=pinned(self.cores[-workers:], real_time=False),
                    stdout=out,
                    stderr=subprocess.DEVNULL,
                )
                _, status, used = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - began
            assert status == 0, f"descent run ended with {status}"
            return {"workers": workers, "wall_s": wall_s, "peak_memory_mib": used.ru_maxrss / 1024}

    def loop(self, threads):
        """The same trials from start to end without a queue."""
        command = [self.options.descent, "bench", "train", "--case", "widths-24", "--whole", "--repeat", 1]
        command += ["--threads", threads, "--format", "json"]
        row = json.loads(answer(start(command, self.cores[-threads:], real_time=False, stderr=subprocess.PIPE), "descent"))[0]
        return row | {"wall_s": row["epoch_ms"] * row["epochs"] / 1e3}


def dedup(options):
    """Options of which the last of a name counts."""
    pairs, flags, at = {}, [], 0
    while at < len(options):
        if options[at] == "--whole":
            flags.append(options[at])
            at += 1
        else:
            pairs[options[at]] = options[at + 1]
            at += 2
    return [*flags, *(part for pair in pairs.items() for part in pair)]


def table(title, contenders, rounds):
    ours = contenders[0]
    lines = [f"### {title}", "", "| | ms an epoch (median) | rounds | useful GFLOP/s | ratio to ours | rounds |", "|---|---|---|---|---|---|"]
    for name in contenders:
        found = [this[name] for this in rounds if name in this]
        if not found:
            lines.append(f"| {name} | did not run | | | | |")
            continue
        times = [one["epoch_ms"] for one in found]
        ratios = [this[name]["epoch_ms"] / this[ours]["epoch_ms"] for this in rounds if name in this and ours in this]
        rates = [one["useful_gflops"] for one in found if one.get("useful_gflops")]
        rate = f"{statistics.median(rates):.1f}" if rates else ""
        ratio = f"{statistics.median(ratios):.2f} × | {min(ratios):.2f} … {max(ratios):.2f}" if ratios else " | "
        shown = "**descent**" if name == ours else name
        lines.append(
            f"| {shown} | {statistics.median(times):.1f} | {min(times):.1f} … {max(times):.1f} | {rate} | {ratio} |"
        )
    compiled = [f"{name} {this[name]['first_epoch_s']:.1f} s" for this in rounds[:1] for name in contenders if "first_epoch_s" in this.get(name, {})]
    if compiled:
        lines += ["", "First epoch, compilation included (not in the medians): " + ", ".join(compiled) + "."]
    first = rounds[0].get(ours)
    if first:
        share = statistics.median(this[ours]["share_of_sgemm"] for this in rounds if ours in this)
        rate = statistics.median(this[ours]["sgemm_gflops"] for this in rounds if ours in this)
        lines += ["", f"Ours does {share:.0%} of a 512³ product's rate in the same processes ({rate:.0f} GFLOP/s)."]
    return "\n".join(lines) + "\n"


def summary(rows, measured):
    """All ratios at a glance, and what they would be if ours did nothing but large products."""
    lines = ["### Ratios", "", "| | against | aimed at | measured | if ours ran at the rate of a 512³ product |", "|---|---|---|---|---|"]
    for row, peers, target in TARGETS:
        rounds, ours = measured.get(row, []), rows[row][2][0] if row in rows else None
        ratios, ceilings, best = [], [], []
        for this in rounds:
            there = [name for name in peers if name in this]
            if there and ours in this:
                best.append(min(there, key=lambda name: this[name]["epoch_ms"]))
                ratios.append(this[best[-1]]["epoch_ms"] / this[ours]["epoch_ms"])
                ceilings.append(ratios[-1] / this[ours]["share_of_sgemm"])
        if ratios:
            found, ceiling = statistics.median(ratios), statistics.median(ceilings)
            aim = f"{target} ×" if target else ""
            name = statistics.mode(best)
            lines.append(f"| {rows[row][0]} | {name} | {aim} | {found:.2f} × | {ceiling:.2f} × |")
    rounds = measured.get("fastfood", [])
    for name in ("descent fastfood-1000", "descent fastfood-10000"):
        costs = [this[name]["epoch_ms"] / this["descent"]["epoch_ms"] for this in rounds if name in this and "descent" in this]
        if costs:
            lines.append(f"| {name.split()[1]}: a step's cost | descent, trained directly | at most 4 × | {statistics.median(costs):.2f} × | |")
    return "\n".join(lines) + "\n"


def write(folder, name, content):
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def put(document, text):
    """Replaces what stands between the two comments."""
    begin, end = "<!-- written by benches/peers/run.py -->\n", "<!-- until here: run.py -->"
    before, rest = document.read_text().split(begin)
    document.write_text(before + begin + text + end + rest.split(end)[1])


def main():
    options = arguments()
    bench = Bench(options)
    rows = CPU if options.device == "cpu" else CUDA
    wanted = options.rows or [*rows, *(["end-to-end", "memory"] if options.device == "cpu" else [])]
    unknown = set(wanted) - set(rows) - {"end-to-end", "memory"}
    assert not unknown, f"no such rows: {', '.join(sorted(unknown))}; there are {', '.join(rows)}, end-to-end, memory"
    began, parts, endings = time.time(), [], []

    def show(name, text, numbers):
        parts.append(text)
        print(text, flush=True)
        write(options.raw, f"{name}.json", json.dumps(numbers, indent=1) + "\n")
        if name in ("end-to-end", "memory"):
            endings.append(text)

    for name in wanted:
        if name not in rows:
            continue
        title, rounds, contenders = rows[name]
        if options.quick:
            rounds, contenders = 1, [one for one in contenders if one not in FIRST_ROUND_ONLY]
        if len(bench.cores) < 2 and name.endswith("-two"):
            print(f"{name}: left out, there is one core", file=sys.stderr)
            continue
        found = bench.row(name, options.rounds or rounds, contenders)
        show(name, table(title, contenders, found), found)
    if "end-to-end" in wanted:
        found = []
        for _ in range(options.rounds or 1):
            for workers in [1] if options.quick else [1, 2][: len(bench.cores)]:
                found.append({"loop": bench.loop(workers), "run": bench.end_to_end(workers)})
                print(f"end-to-end, {workers} slots: done", file=sys.stderr)
        lines = ["### `descent run` against the loop that it drives", ""]
        lines += ["| slots | loop, s | `descent run`, s | share | peak memory, MiB |", "|---|---|---|---|---|"]
        for pair in found:
            loop, run = pair["loop"]["wall_s"], pair["run"]["wall_s"]
            lines.append(f"| {pair['run']['workers']} | {loop:.1f} | {run:.1f} | {loop / run:.1%} | {pair['run']['peak_memory_mib']:.0f} |")
        show("end-to-end", "\n".join(lines) + "\n", found)
    if "memory" in wanted:
        changes = [("[axes]\n", "[axes]\nseed = { count = 5 }\n"), ("epochs = 100", "epochs = 4"), ("every = 5", "every = 4")]
        used = [bench.end_to_end(workers, changes=changes, pack=120 // workers) for workers in [1, 2][: len(bench.cores)]]
        lines = ["### Memory: 24 widths × 5 seeds in flight", ""]
        lines += [f"* {one['workers']} slot(s): {one['peak_memory_mib']:.0f} MiB" for one in used]
        show("memory", "\n".join(lines) + "\n", used)
    text = summary(rows, bench.rounds)
    print(text, flush=True)
    machine = next((this[name] for found in bench.rounds.values() for this in found for name in this if "processor" in this[name]), None)
    if machine:
        head = f"{machine['processor']}, {machine['instruction_set']}, {len(bench.cores)} cores, descent {machine['version']}\n"
        text = head + "\n" + text
    write(options.raw, "tables.md", "\n".join([text, *parts]))
    if options.document and not bench.missing:
        put(options.document, "\n".join([text, *endings]))
    print(f"took {(time.time() - began) / 60:.1f} minutes", file=sys.stderr)
    if bench.missing:
        sys.exit("did not run, so that no document was written: " + "; ".join(bench.missing))


if __name__ == "__main__":
    if sys.platform != "linux" or not shutil.which("python3"):
        sys.exit("this needs Linux: processes are pinned to cores")
    main()
