"""When timers are due: expressions against a plain model of them, and the clock's changes."""

from datetime import UTC, datetime, time, timedelta
from itertools import islice, pairwise, product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_runtime.errors import StartupError
from local_runtime.functions_host.triggers.timer.ncrontab import Ncrontab, ScheduleError
from local_runtime.functions_host.triggers.timer.schedule import parse_schedule
from local_runtime.functions_host.triggers.timer.time_zone import time_zone

PACIFIC = ZoneInfo("America/Los_Angeles")


def occurrences(text: str, begin: datetime, count: int, zone: ZoneInfo = PACIFIC) -> list[str]:
    schedule = parse_schedule(text, zone)
    moment, found = begin.astimezone(UTC), []
    for _ in range(count):
        moment = schedule.next_after(moment)
        found.append(moment.astimezone(zone).isoformat())
    return found


wall = datetime.fromisoformat


# --- Expressions against a model ---------------------------------------------------------------

RANGES = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]


@st.composite
def parts(draw, low: int, high: int) -> tuple[str, set[int]]:
    """One item of a field, and the values it stands for."""
    a, b = draw(st.integers(low, high)), draw(st.integers(low, high))
    step = draw(st.integers(1, 20))
    least, most = sorted((a, b))
    return draw(
        st.sampled_from(
            [
                ("*", set(range(low, high + 1))),
                (f"{a}", {a}),
                (f"*/{step}", {n for n in range(low, high + 1) if (n - low) % step == 0}),
                (f"{a}-{b}", set(range(least, most + 1))),
                (f"{a}-{b}/{step}", {n for n in range(least, most + 1) if not (n - least) % step}),
                (f"{a}/{step}", {n for n in range(a, high + 1) if (n - a) % step == 0}),
            ]
        )
    )


@st.composite
def fields(draw, low: int, high: int) -> tuple[str, set[int]]:
    items = draw(st.lists(parts(low, high), min_size=1, max_size=3))
    return ",".join(text for text, _ in items), set().union(*(values for _, values in items))


def first_match(values: list[set[int]], begin: datetime) -> datetime | None:
    """The first moment after `begin` by trying one day and one time after the other."""
    *times, days, months, weekdays = values
    clock = [sorted(value) for value in reversed(times)]
    day = begin.date()
    for _ in range(366 * 41):
        if day.day in days and day.month in months and (day.weekday() + 1) % 7 in weekdays:
            for hour, minute, second in product(*clock):
                found = datetime.combine(day, time(hour, minute, second))
                if found > begin:
                    return found
        day += timedelta(days=1)
    return None


@settings(max_examples=200, deadline=None)
@given(
    written=st.tuples(*(fields(low, high) for low, high in RANGES)),
    begin=st.datetimes(wall("2023-01-01T00:00"), wall("2030-01-01T00:00")),
)
def test_next_match_is_the_first_moment_that_all_fields_allow(written, begin):
    values = [value for _, value in written]
    text = " ".join(text for text, _ in written)
    if first_match(values, wall("2000-01-01T00:00")) is None:
        with pytest.raises(ScheduleError, match="never comes"):
            Ncrontab.parse(text)
    else:
        assert Ncrontab.parse(text).next_after(begin) == first_match(values, begin)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 */5 * * * *", "2024-02-28T12:05:00"),
        ("*/5 * * * *", "2024-02-28T12:05:00"),
        ("0 30 9 * * 1-5", "2024-02-29T09:30:00"),
        ("0 30 9 * Jan Mon", "2025-01-06T09:30:00"),
        ("0 0 0 29 2 *", "2024-02-29T00:00:00"),
        ("0 0 0 29 feb monday", "2044-02-29T00:00:00"),
        ("0 0 0 1 * SUN", "2024-09-01T00:00:00"),
        ("  0   0 0 1 1 *  ", "2025-01-01T00:00:00"),
        ("0 0 22-20 * * *", "2024-02-28T20:00:00"),
        ("0 0 12 * ma *", "2024-03-01T12:00:00"),
    ],
)
def test_expression_is_read_as_the_real_host_reads_it(text, expected):
    found = Ncrontab.parse(text).next_after(wall("2024-02-28T12:00"))

    assert found.isoformat() == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "* * * *", "* * * * * * *", "60 * * * * *", "0 0 24 * * *", "0 0 0 0 * *",
        "0 0 0 * 13 *", "0 0 0 * * 7", "0 0 0 L * *", "0 0 0 ? * *", "0 0 0 * * MON#1",
        "@hourly", "0 1,,2 * * * *", "0 */ * * * *", "0 */x * * * *", "0 1- * * * *",
        "0 -1 * * * *",
        "0 0 0 31 2 *", "0 0 0 * * xyz", "\u0660 * * * * *", "00:00:00", "00:60:00", "25:00",
        "every hour", "-00:05:00",
    ],
)  # fmt: skip
def test_malformed_schedule_is_refused(text):
    with pytest.raises(ScheduleError):
        parse_schedule(text, ZoneInfo("UTC"))


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("00:05:00", timedelta(minutes=5)),
        ("00:00:00.5", timedelta(milliseconds=500)),
        ("10:00", timedelta(hours=10)),
        ("1.12:00:00", timedelta(days=1, hours=12)),
        ("24:00:00", timedelta(days=24)),
        ("6:12:14:45", timedelta(days=6, hours=12, minutes=14, seconds=45)),
        ("3", timedelta(days=3)),
    ],
)
def test_interval_is_read_as_net_reads_a_time_span(text, interval):
    now = datetime(2024, 1, 1, tzinfo=UTC)

    assert parse_schedule(text, ZoneInfo("UTC")).next_after(now) == now + interval


# --- To and from summer time -------------------------------------------------------------------


def test_time_that_the_clock_leaves_out_comes_later():
    begin = datetime(2018, 3, 10, 2, 0, tzinfo=PACIFIC)

    assert occurrences("0 30 2 * * *", begin, 3) == [
        "2018-03-10T02:30:00-08:00",
        "2018-03-11T03:30:00-07:00",
        "2018-03-12T02:30:00-07:00",
    ]


def test_time_that_the_clock_shows_twice_comes_once():
    begin = datetime(2018, 11, 3, 1, 0, tzinfo=PACIFIC)

    assert occurrences("0 30 1 * * *", begin, 3) == [
        "2018-11-03T01:30:00-07:00",
        "2018-11-04T01:30:00-07:00",
        "2018-11-05T01:30:00-08:00",
    ]


@pytest.mark.parametrize("minutes", [1, 5, 15, 30])
@pytest.mark.parametrize(
    ("zone", "begin"),
    [
        (PACIFIC, datetime(2018, 11, 4, 7, 3, tzinfo=UTC)),
        (PACIFIC, datetime(2018, 3, 11, 8, 3, tzinfo=UTC)),
        (ZoneInfo("Australia/Lord_Howe"), datetime(2024, 4, 6, 13, 3, tzinfo=UTC)),
        (ZoneInfo("Australia/Lord_Howe"), datetime(2024, 10, 5, 14, 3, tzinfo=UTC)),
    ],
)
def test_interval_goes_on_evenly_through_a_change_of_the_clock(zone, begin, minutes):
    schedule = parse_schedule(f"0 */{minutes} * * * *", zone)

    def following():
        moment = begin
        while True:
            yield (moment := schedule.next_after(moment))

    found = list(islice(following(), 180 // minutes))

    pauses = {later - earlier for earlier, later in pairwise(found)}
    assert pauses == {timedelta(minutes=minutes)}


# --- The time zone -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "zone"),
    [
        ({}, "UTC"),
        ({"TZ": ":Europe/Paris"}, "Europe/Paris"),
        ({"TZ": "Europe/Paris", "WEBSITE_TIME_ZONE": "Asia/Tokyo"}, "Asia/Tokyo"),
        ({"WEBSITE_TIME_ZONE": " "}, "UTC"),
    ],
)
def test_time_zone_is_the_settings_or_utc(environ, zone):
    assert time_zone(environ).key == zone


@pytest.mark.parametrize(
    "name", ["Nowhere/City", "../../etc/passwd", "/etc/passwd", "a\0b", "Europe"]
)
def test_setting_that_is_no_time_zone_is_named(name):
    with pytest.raises(StartupError, match="WEBSITE_TIME_ZONE names no time zone"):
        time_zone({"WEBSITE_TIME_ZONE": name})
