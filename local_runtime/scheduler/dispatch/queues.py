"""What waits for a worker: targets with an inbox, and activities."""

from collections import Counter, OrderedDict
from collections.abc import Callable

from local_runtime.scheduler.storage.effects import ReadyTask

type Wanted = Callable[[str, str | None], bool]
type _Named = tuple[str, str | None]  # a name, and a version


class TargetQueue:
    """Instances (or entities) that have something to do, each at most once, oldest first."""

    def __init__(self) -> None:
        self._ready: dict[str, None] = {}
        # Those that no connected worker wanted, by name and version: they wait for one who does.
        self._parked: dict[str, tuple[str, str | None]] = {}

    def __bool__(self) -> bool:
        """Whether any can be tried."""
        return bool(self._ready)

    def add(self, target_id: str) -> None:
        """Queue a target unless it is queued already."""
        if target_id not in self._parked:
            self._ready[target_id] = None

    def park(self, target_id: str, name: str, version: str | None) -> None:
        """Keep a target until `unpark` finds a worker for its name."""
        self._parked[target_id] = (name, version)

    def unpark(self, wanted: Wanted) -> None:
        """Queue the parked targets that a worker with room now wants."""
        if not self._parked:
            return
        for target_id in [t for t, named in self._parked.items() if wanted(*named)]:
            del self._parked[target_id]
            self._ready[target_id] = None

    def take(self) -> str:
        """Remove and return the oldest."""
        target_id = next(iter(self._ready))
        del self._ready[target_id]
        return target_id

    def drop(self, target_id: str) -> None:
        """Forget a target."""
        self._ready.pop(target_id, None)
        self._parked.pop(target_id, None)

    def waiting(self) -> int:
        """How many are queued or parked."""
        return len(self._ready) + len(self._parked)


class TaskQueue:
    """Activities to run, kept by name and version so that workers' filters skip whole groups."""

    def __init__(self) -> None:
        self._groups: dict[_Named, OrderedDict[int, ReadyTask]] = {}
        self._by_instance: Counter[str] = Counter()

    def add(self, task: ReadyTask) -> None:
        """Queue an activity behind the others."""
        self._group(task)[task.task_key] = task
        self._by_instance[task.instance_id] += 1

    def put_back(self, task: ReadyTask) -> None:
        """Queue an activity before the others: it had its turn and lost its worker."""
        self.add(task)
        self._group(task).move_to_end(task.task_key, last=False)

    def take(self, wanted: Wanted) -> ReadyTask | None:
        """Remove and return an activity that a worker with room wants; the names take turns."""
        for key in list(self._groups):
            if not wanted(*key):
                continue
            group = self._groups.pop(key)
            _, task = group.popitem(last=False)
            if group:
                self._groups[key] = group  # to the end: the next one is of another name
            self._forget(task)
            return task
        return None

    def remove(self, task: ReadyTask) -> bool:
        """Take one activity out, as its result has come all the same; whether it was queued."""
        group = self._groups.get((task.name, task.version))
        if group is None or group.pop(task.task_key, None) is None:
            return False
        if not group:
            del self._groups[task.name, task.version]
        self._forget(task)
        return True

    def drop_instance(self, instance_id: str) -> None:
        """Forget the activities of an instance that has ended."""
        if self._by_instance.pop(instance_id, 0) == 0:
            return
        for key, group in list(self._groups.items()):
            for task_key in [k for k, task in group.items() if task.instance_id == instance_id]:
                del group[task_key]
            if not group:
                del self._groups[key]

    def of_instance(self, instance_id: str) -> int:
        """How many activities of one instance are queued."""
        return self._by_instance.get(instance_id, 0)

    def waiting(self) -> int:
        """How many are queued."""
        return sum(len(group) for group in self._groups.values())

    def _group(self, task: ReadyTask) -> OrderedDict[int, ReadyTask]:
        return self._groups.setdefault((task.name, task.version), OrderedDict())

    def _forget(self, task: ReadyTask) -> None:
        self._by_instance[task.instance_id] -= 1
        if self._by_instance[task.instance_id] <= 0:
            del self._by_instance[task.instance_id]
