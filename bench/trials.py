"""The trials on clusters: snapshot, restore, delta, memory, files. A trial returns rows, one a
contender, each with all its runs."""
import os
import shutil

from cluster import warm
from contenders import Backstay, Copy, PgBackRest, Tar
from meter import measure

OURS = "backstay zstd 1"
PEER1 = "pgbackrest zst 1"
PEER3 = "pgbackrest zst 3"


class Row:
    def __init__(self, trial, label):
        self.trial = trial
        self.label = label
        self.runs = []

    def add(self, result, **more):
        self.runs.append(dict(result, **more))


class ClusterTrials:
    def __init__(self, bench):
        self._bench = bench
        self._contenders = {}

    def contenders(self, cluster, labels):
        """The same objects each time, so that a restore finds what the snapshot trial stored."""
        made = self._contenders.setdefault(cluster.name, {})
        home = os.path.join(self._bench.work, cluster.name)
        if self._bench.binary and OURS not in made:
            made[OURS] = Backstay(OURS, os.path.join(home, "ours"), self._bench.binary, cluster)
        for label, level in ((PEER3, 3), (PEER1, 1)):
            if label not in made:
                made[label] = PgBackRest(label, os.path.join(home, f"zst{level}"), cluster,
                                         level=level)
        return [made[label] for label in labels if label in made]

    def _backup(self, contender, cluster):
        contender.empty()
        cluster.archive_with(contender.archive_command)
        os.sync()
        return measure(contender.backup(), contender.log)

    def _restore(self, contender, to, delta=False):
        if not delta:
            shutil.rmtree(to, ignore_errors=True)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        argv = contender.restore(to, delta)
        os.sync()
        return measure(argv, contender.log)

    def _backups(self, trial, cluster, labels, runs):
        """Interleaved: whatever else the machine does meets every contender alike."""
        contenders = self.contenders(cluster, labels)
        rows = {contender: Row(trial, contender.label) for contender in contenders}
        cluster.start()
        warm(cluster.data)
        for turn in range(runs):
            for contender in contenders:
                result = self._backup(contender, cluster)
                rows[contender].add(result, stored=contender.stored_bytes(), **{
                    f"{phase} phase": value for phase, value in contender.notes().items()})
                self._bench.say(f"{trial} {turn + 1}/{runs} {contender.label}: {result['wall']:.2f} s")
        return list(rows.values())

    def snapshot(self):
        return self._backups("snapshot", self._bench.cluster("full"), [OURS, PEER3, PEER1],
                             self._bench.runs)

    def _filled(self, cluster, labels):
        """Contenders that each hold a snapshot; one is taken, unmeasured, where it is missing."""
        contenders = self.contenders(cluster, labels)
        for contender in contenders:
            if not contender.is_filled():
                cluster.start()
                self._backup(contender, cluster)
        cluster.stop()
        return contenders

    def restore(self):
        cluster = self._bench.cluster("full")
        contenders = self._filled(cluster, [OURS, PEER3, PEER1])
        contenders.append(Copy("cp -a and sync", os.path.join(self._bench.work, "cp"), cluster.data))
        contenders[-1].empty()
        return self._restores("restore", contenders, delta=False)

    def delta(self):
        contenders = self._filled(self._bench.cluster("full"), [OURS, PEER3, PEER1])
        return self._restores("delta", contenders, delta=True)

    def _restores(self, trial, contenders, delta):
        rows = {contender: Row(trial, contender.label) for contender in contenders}
        for contender in contenders:
            if delta:  # the directory that the measured runs find to be equal already
                self._restore(contender, self._target(contender))
            else:
                warm(contender.repository)
        for turn in range(self._bench.runs):
            for contender in contenders:
                result = self._restore(contender, self._target(contender), delta)
                rows[contender].add(result)
                self._bench.say(f"{trial} {turn + 1}/{self._bench.runs} {contender.label}: "
                                f"{result['wall']:.2f} s")
                if not delta:
                    shutil.rmtree(self._target(contender))
        for contender in contenders:
            shutil.rmtree(self._target(contender), ignore_errors=True)
        return list(rows.values())

    def _target(self, contender):
        return os.path.join(self._bench.work, "restored", contender.label.replace(" ", "-"))

    def memory(self):
        """A quarter and the whole of the data, one run each: peaks, not times."""
        rows = []
        for name in ("quarter", "full"):
            cluster = self._bench.cluster(name)
            backups = self._backups(f"memory, backup of {name}", cluster, [OURS, PEER1], 1)
            cluster.stop()
            rows += backups
            for contender in self.contenders(cluster, [OURS, PEER1]):
                row = Row(f"memory, restore of {name}", contender.label)
                row.add(self._restore(contender, self._target(contender)))
                shutil.rmtree(self._target(contender))
                rows.append(row)
        return rows

    def files(self):
        """50,000 tables of one page; tar reads the same directory while the server is idle."""
        cluster = self._bench.cluster("files")
        rows = self._backups("files", cluster, [OURS, PEER1], self._bench.runs)
        tar = Tar("tar and sync", os.path.join(self._bench.work, "tar"), cluster.data)
        row = Row("files", tar.label)
        for _ in range(self._bench.runs):
            tar.empty()
            os.sync()
            row.add(measure(tar.backup(), tar.log), stored=tar.stored_bytes())
        count = cluster.files()
        cluster.stop()
        for each in rows + [row]:
            for run in each.runs:
                run["microseconds a file"] = run["wall"] / count * 1e6
        return rows + [row]
