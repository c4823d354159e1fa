"""The table that a soak ends with."""

from tests.soak.run import Result


def table(result: Result) -> str:
    """What was done, what died, what ran more than once and why, and what the audit found."""
    counts, toll, verdict = result.ledger.counts, result.toll, result.verdict
    longest, median = toll.ready_times()
    rows = [("seed", str(result.settings.seed))]
    rows += [
        (name, f"{counts[name]}")
        for name in (
            *("started", "finished", "purged", "suspended and resumed", "terminated"),
            *("terminated recursively", "rewound", "restarted"),
            *("events", "events raised again", "signals", "signals sent again"),
            *("bursts", "started in bursts"),
        )
    ]
    rows += [(name, str(n)) for name, n in sorted(counts.items()) if name.startswith("burst answ")]
    rows += [(f"kept: {kind}", f"{n} {state}") for (kind, state), n in sorted(result.ends.items())]
    bounds = result.ledger.tallies
    rows += [
        (f"tally {key}", f"{count} ({bounds[key].low} to {bounds[key].high})")
        for key, count in sorted(result.tallies.items())
    ]
    rows += [(f"killed: {what}", str(times)) for what, times in sorted(toll.kills.items())]
    rows += [(what, str(times)) for what, times in sorted(toll.stops.items())]
    rows += [(what, str(times)) for what, times in sorted(toll.done.items())]
    rows += [(f"started again: {what}", str(n)) for what, n in sorted(toll.restarts.items())]
    rows += [
        ("scheduler ready after a kill, median", f"{median * 1000:.0f} ms"),
        ("scheduler ready after a kill, longest", f"{longest * 1000:.0f} ms"),
        ("histories audited", str(result.histories)),
        ("activities recorded", str(verdict.tasks)),
        ("their executions", str(verdict.executions)),
        ("executions beyond one", str(verdict.beyond_one.total())),
    ]
    rows += [(f"  {reason}", str(n)) for reason, n in verdict.beyond_one.most_common()]
    rows += [
        ("lost", str(result.lost)),
        ("hung", str(result.hung)),
        ("recorded steps repeated", str(verdict.repeated)),
        ("faults", str(len(result.faults))),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    if result.faults:
        lines += ["", *result.faults, "", f"data: {result.data}"]
    return "\n".join(lines)
