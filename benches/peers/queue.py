"""Measures descent's queue beside others on one machine: no-op work, taken and finished, a second.

    cargo build --release
    python3 -m venv peers && peers/bin/pip install -r benches/peers/queue-requirements.txt
    (cd peers && npm install graphile-worker@0.17.3)
    peers/bin/python benches/peers/queue.py --descent target/release/descent --postgres postgres://postgres@localhost \
        --node-modules peers/node_modules --raw docs/performance/raw/queue-peers.json

Contenders take turns (A B C A B C …), each round in a fresh process, and on a fresh file or database; the table shows medians, smallest and largest. Nobody
trains anything. What is different is said: how durable a finished piece of work is, and who works. `--only NAME,…` picks contenders.
`--postgres` is a server on which databases `descent_peers_…` may be made and dropped; without it those that need one are left out.
"""

import argparse
import asyncio
import importlib.metadata
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# What each is, and what it promises of a finished piece of work.
CONTENDERS = {
    "descent sqlite 16": ("64 workers over gRPC, 16 a call", "SQLite WAL, synchronous=FULL"),
    "descent sqlite 1": ("64 workers over gRPC, singly", "SQLite WAL, synchronous=FULL"),
    "descent postgres 16": ("64 workers over gRPC, 16 a call", "PostgreSQL, synchronous_commit=on"),
    "descent postgres 1": ("64 workers over gRPC, singly", "PostgreSQL, synchronous_commit=on"),
    "optuna sqlite": ("one process, ask, suggest, report, tell", "SQLite, rollback journal, synchronous=FULL"),
    "optuna journal": ("one process, ask, suggest, report, tell", "journal file, fsync at each entry"),
    "procrastinate": ("one worker process, concurrency 64", "PostgreSQL, synchronous_commit=on"),
    "awa": ("one worker process, 64 handlers", "PostgreSQL, synchronous_commit=on"),
    "graphile-worker": ("one process, concurrency 24, default settings", "PostgreSQL, synchronous_commit=on"),
    "graphile-worker batch": (
        "the same, local queue of 500, completions batched",
        "PostgreSQL, synchronous_commit=on",
    ),
    "hyperqueue": ("local cluster, one worker of 2 processors, /bin/true", "none: no journal"),
    "ray tune": ("local, 2 processors, function trainable", "experiment state, snapshots"),
}


def optuna_trials(storage, seconds):
    """Trials of one process within a time."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        trial = study.ask()
        value = trial.suggest_float("x", 0, 1)
        trial.report(value, 0)
        study.tell(trial, value)
        count += 1
    return count / (time.perf_counter() - start)


def optuna_sqlite(arguments, folder):
    return optuna_trials(f"sqlite:///{folder}/optuna.db", arguments.seconds)


def optuna_journal(arguments, folder):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return optuna_trials(JournalStorage(JournalFileBackend(f"{folder}/journal.log")), arguments.seconds)


def procrastinate(arguments, folder):
    from procrastinate import App, PsycopgConnector

    jobs = 1_000
    app = App(connector=PsycopgConnector(conninfo=arguments.database, max_size=20))

    @app.task(name="nothing")
    async def nothing(number):
        return None

    async def measure():
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            await nothing.batch_defer_async(*({"number": number} for number in range(jobs)))
            start = time.perf_counter()
            await app.run_worker_async(concurrency=64, wait=False, install_signal_handlers=False)
            return jobs / (time.perf_counter() - start)

    return asyncio.run(measure())


def awa(arguments, folder):
    from dataclasses import dataclass

    from awa import AsyncClient

    jobs = 10_000

    @dataclass
    class Nothing:
        number: int

    async def measure():
        client = AsyncClient(arguments.database)
        await client.migrate()
        seen, finished = 0, asyncio.Event()

        @client.task(Nothing, queue="peers")
        async def nothing(job):
            nonlocal seen
            seen += 1
            if seen >= jobs:
                finished.set()

        for first in range(0, jobs, 1_000):
            batch = [Nothing(number) for number in range(first, first + 1_000)]
            await client.insert_many_copy(batch, queue="peers")
        start = time.perf_counter()
        started = client.start([("peers", 64)])
        if asyncio.iscoroutine(started):
            await started
        await asyncio.wait_for(finished.wait(), 120)
        rate = jobs / (time.perf_counter() - start)
        await client.shutdown()
        return rate

    return asyncio.run(measure())


GRAPHILE = """
const { run, makeWorkerUtils } = require("graphile-worker");
const jobs = 5000, [url, batched] = [process.argv[2], process.argv[3] === "batched"];
(async () => {
  const utils = await makeWorkerUtils({ connectionString: url });
  await utils.migrate();
  const specs = Array.from({ length: jobs }, (_, number) => ({ identifier: "nothing", payload: { number } }));
  for (let i = 0; i < jobs; i += 1000) await utils.addJobs(specs.slice(i, i + 1000));
  let seen = 0, done;
  const finished = new Promise((resolve) => (done = resolve));
  const preset = { worker: { connectionString: url, concurrentJobs: 24, maxPoolSize: 10,
    ...(batched ? { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } : {}) } };
  const start = process.hrtime.bigint();
  const runner = await run({ preset, noHandleSignals: true, logger: new (require("graphile-worker").Logger)(() => () => {}),
    taskList: { nothing: async () => { if (++seen === jobs) done(); } } });
  await finished;
  await runner.stop();
  console.log(jobs / (Number(process.hrtime.bigint() - start) / 1e9));
  await utils.release();
})();
"""


def graphile(batched):
    def measure(arguments, folder):
        script = Path(folder) / "graphile.js"
        script.write_text(GRAPHILE)
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "NODE_PATH": str(Path(arguments.node_modules).resolve())}
        command = ["node", str(script), arguments.database, "batched" if batched else "plain"]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=300)
        return float(done.stdout.split()[-1])

    return measure


def hyperqueue(arguments, folder):
    from hyperqueue import Job, LocalCluster
    from hyperqueue.cluster import WorkerConfig

    tasks = 2_000
    with LocalCluster() as cluster:
        cluster.start_worker(WorkerConfig(cores=2))
        client = cluster.client()
        job = Job()
        for _ in range(tasks):
            job.program(["/bin/true"])
        start = time.perf_counter()
        client.wait_for_jobs([client.submit(job)])
        return tasks / (time.perf_counter() - start)


def ray_tune(arguments, folder):
    import ray
    from ray import tune

    trials = 100
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")

    def nothing(config):
        return {"value": config["x"]}

    tuner = tune.Tuner(
        nothing,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(num_samples=trials),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    start = time.perf_counter()
    tuner.fit()
    return trials / (time.perf_counter() - start)


def descent(postgres, per_call):
    def measure(arguments, folder):
        command = [arguments.descent, "bench", "queue", "--folder", str(folder), "--per-call", str(per_call)]
        command += ["--seconds", str(arguments.seconds), "--format", "json"]
        if postgres:
            command += ["--postgres", arguments.database]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)
        rows = json.loads(done.stdout)
        return next(row["value"] for row in rows if row["measure"] == "leased and completed")

    return measure


MEASURES = {
    "descent sqlite 16": descent(False, 16),
    "descent sqlite 1": descent(False, 1),
    "descent postgres 16": descent(True, 16),
    "descent postgres 1": descent(True, 1),
    "optuna sqlite": optuna_sqlite,
    "optuna journal": optuna_journal,
    "procrastinate": procrastinate,
    "awa": awa,
    "graphile-worker": graphile(False),
    "graphile-worker batch": graphile(True),
    "hyperqueue": hyperqueue,
    "ray tune": ray_tune,
}


def version(name, arguments):
    """The version of whoever is meant."""
    if name.startswith("descent"):
        return subprocess.run([arguments.descent, "--version"], capture_output=True, text=True).stdout.split()[-1]
    if name.startswith("graphile"):
        return json.loads((Path(arguments.node_modules) / "graphile-worker/package.json").read_text())["version"]
    package = {"awa": "awa-pg", "ray tune": "ray"}.get(name, name.split()[0])
    return importlib.metadata.version(package)


def fresh(arguments, number):
    """A new database on the server."""
    import psycopg

    name = f"descent_peers_{number}"
    with psycopg.connect(arguments.postgres + "/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    return f"{arguments.postgres}/{name}"


def drop(arguments, number):
    import psycopg

    with psycopg.connect(arguments.postgres + "/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS descent_peers_{number} WITH (FORCE)")


def one(arguments):
    """One measurement in this process: prints its rate."""
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        print(json.dumps(MEASURES[arguments.one](arguments, folder)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--descent", default="target/release/descent")
    parser.add_argument("--postgres", help="server, such as postgres://postgres@localhost")
    parser.add_argument("--node-modules", default="node_modules")
    parser.add_argument("--folder", default=".", help="on the disk to be measured")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--only", default="")
    parser.add_argument("--raw", type=Path)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--database", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        return one(arguments)
    names = arguments.only.split(",") if arguments.only else list(CONTENDERS)
    rates, failed = {name: [] for name in names}, {}
    number = 0
    for _ in range(arguments.rounds):
        for name in names:
            needs_server = "PostgreSQL" in CONTENDERS[name][1]
            if name in failed or (needs_server and not arguments.postgres):
                continue
            number += 1
            command = [sys.executable, __file__, "--one", name, "--descent", arguments.descent]
            command += ["--seconds", str(arguments.seconds), "--folder", arguments.folder]
            command += ["--node-modules", arguments.node_modules]
            if needs_server:
                command += ["--database", fresh(arguments, number)]
            done = subprocess.run(command, capture_output=True, text=True)
            if needs_server:
                drop(arguments, number)
            if done.returncode:
                failed[name] = done.stderr.strip().splitlines()[-1:]
                print(f"{name} failed: {failed[name]}", file=sys.stderr)
                continue
            rates[name].append(json.loads(done.stdout.split("\n")[-2]))
            print(f"{name}: {rates[name][-1]:.1f}/s", file=sys.stderr)
    print("| who | version | how | a finished one is durable in | a second: median (smallest … largest) |\n|---|---|---|---|---|")
    for name in names:
        if found := rates[name]:
            how, durable = CONTENDERS[name]
            middle = statistics.median(found)
            spread = f"{min(found):,.0f} … {max(found):,.0f}"
            print(f"| {name} | {version(name, arguments)} | {how} | {durable} | {middle:,.0f} ({spread}) |")
    if arguments.raw:
        versions = {name: version(name, arguments) for name in names if rates[name]}
        arguments.raw.write_text(json.dumps({"rates": rates, "versions": versions, "failed": failed}, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
