"""host.json and local.settings.json, read as `func start` reads them."""

import json
from datetime import timedelta

import pytest

from local_runtime.errors import StartupError
from local_runtime.settings import AppSettings, QueueSettings

CONNECTION = "Endpoint=http://localhost:8080;TaskHub=fromconnection;Authentication=None"
SCHEDULER = "DURABLE_TASK_SCHEDULER_CONNECTION_STRING"


@pytest.fixture
def load(tmp_path):
    """Loads the settings of an app with this host.json, these local values and environment."""

    def load(durable=None, values=None, environ=None, **extensions) -> AppSettings:
        host = {"version": "2.0", "extensions": {"durableTask": durable or {}, **extensions}}
        (tmp_path / "host.json").write_text(json.dumps(host))
        (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values or {}}))
        return AppSettings.load(tmp_path, environ or {})

    return load


@pytest.mark.parametrize(
    ("hub_name", "environ", "hub"),
    [
        ("Plain", {SCHEDULER: CONNECTION}, "Plain"),
        ("%HUB%", {"HUB": "fromvariable", SCHEDULER: CONNECTION}, "fromvariable"),
        ("a%HUB%b", {"HUB": "X"}, "aXb"),
        ("%HUB%", {SCHEDULER: CONNECTION}, "fromconnection"),
        ("%HUB%", {"HUB": ""}, "default"),
        ("", {}, "default"),
        ("Plain", {"AzureFunctionsJobHost__extensions__durableTask__hubName": "Over"}, "Over"),
    ],
)
def test_task_hub_is_the_first_that_is_named(load, hub_name, environ, hub):
    assert load({"hubName": hub_name}, environ=environ).task_hub == hub


def test_task_hub_of_a_connection_of_another_name_is_found(load):
    storage = {"type": "azureManaged", "connectionStringName": "OTHER"}

    settings = load({"storageProvider": storage}, environ={"OTHER": CONNECTION})

    assert (settings.task_hub, settings.host.connection_name) == ("fromconnection", "OTHER")


def test_local_values_are_used_for_the_hub(load):
    assert load({"hubName": "%HUB%"}, values={"HUB": "local"}).task_hub == "local"


def test_environment_holds_only_what_is_to_be_added(load):
    values = {"A": "file", "B": "file", "C": "", "D": 5, "E": None}

    assert load(values=values, environ={"B": "real"}).environment == {"A": "file", "D": "5"}


@pytest.mark.parametrize(
    ("environ", "configured"),
    [
        ({}, False),
        ({"OPENAI_API_KEY": ""}, False),
        ({"OPENAI_MODEL": "gpt"}, False),
        ({"OPENAI_API_KEY": "k"}, True),
        ({"OPENAI_BASE_URL": "http://x"}, True),
        ({"AZURE_OPENAI_ENDPOINT": "https://x"}, True),
    ],
)
def test_model_counts_as_configured_by_its_settings(load, environ, configured):
    assert load(environ=environ).model_configured is configured


def test_names_in_host_json_are_read_without_case(load):
    assert load({"HUBNAME": "X", "MaxConcurrentActivityFunctions": 7}).host.max_activities == 7


@pytest.mark.parametrize(
    ("http", "prefix"), [({}, "api"), ({"routePrefix": ""}, ""), ({"routePrefix": "/a/b/"}, "a/b")]
)
def test_route_prefix_is_api_unless_set(load, http, prefix):
    assert load(http=http).host.http.route_prefix == prefix


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (None, timedelta(minutes=30)),
        ("00:05:00", timedelta(minutes=5)),
        ("1.02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("-1", None),
        (-1, None),
    ],
)
def test_function_timeout_is_a_time_span_or_none(tmp_path, written, read):
    (tmp_path / "host.json").write_text(json.dumps({"functionTimeout": written}))

    assert AppSettings.load(tmp_path, {}).host.function_timeout == read


@pytest.mark.parametrize("written", ["soon", "5", "00:00:00", "00:61:00", "25:00:00", "-00:01:00"])
def test_function_timeout_that_is_no_time_span_is_refused(tmp_path, written):
    (tmp_path / "host.json").write_text(json.dumps({"functionTimeout": written}))

    with pytest.raises(StartupError, match="'functiontimeout' must be a time span"):
        AppSettings.load(tmp_path, {})


def test_missing_files_mean_defaults(tmp_path):
    settings = AppSettings.load(tmp_path, {})

    assert (settings.task_hub, settings.host.http.route_prefix, settings.environment) == (
        "default", "api", {},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("durable", "says"),
    [
        ({"maxConcurrentActivityFunctions": "many"}, "maxconcurrentactivityfunctions"),
        ({"maxConcurrentActivityFunctions": 0}, "whole number above 0"),
        ({"storageProvider": "azureManaged"}, "storageprovider"),
        ({"overridableExistingInstanceStates": "Some"}, "NonRunningStates or AnyState"),
    ],
)
def test_setting_of_the_wrong_kind_is_refused_by_name(load, durable, says):
    with pytest.raises(StartupError, match=says):
        load(durable)


@pytest.mark.parametrize("text", ["[]", "{", '{"IsEncrypted": true}', '{"Values": []}'])
def test_local_settings_that_cannot_be_used_are_refused(tmp_path, text):
    (tmp_path / "local.settings.json").write_text(text)

    with pytest.raises(StartupError, match=r"local\.settings\.json"):
        AppSettings.load(tmp_path, {})


def test_queue_settings_have_the_defaults_of_func_start(load):
    assert load().host.queues == QueueSettings(16, 8, 0.0, 5, 2.0, True)


def test_queue_settings_are_read(load):
    queues = {
        "batchSize": 32,
        "newBatchThreshold": 0,
        "visibilityTimeout": "00:00:30",
        "maxDequeueCount": 2,
        "maxPollingInterval": "1.00:00:01.5",
        "messageEncoding": "None",
    }

    assert load(queues=queues).host.queues == QueueSettings(32, 0, 30.0, 2, 86_401.5, False)


def test_the_threshold_is_half_of_the_batch(load):
    assert load(queues={"batchSize": 5}).host.queues.new_batch_threshold == 2


@pytest.mark.parametrize(
    ("queues", "says"),
    [
        ({"batchSize": 33}, "batchsize' must be a whole number above 0 and at most 32"),
        ({"maxDequeueCount": 0}, "maxdequeuecount"),
        ({"visibilityTimeout": 30}, "visibilitytimeout' must be a time such as 00:00:30"),
        ({"messageEncoding": "utf-8"}, "base64 or none"),
    ],
)
def test_a_wrong_queue_setting_is_named(load, queues, says):
    with pytest.raises(StartupError, match=says):
        load(queues=queues)


def write(tmp_path, host: str, local: str = "{}") -> None:
    (tmp_path / "host.json").write_text(host)
    (tmp_path / "local.settings.json").write_text(local)


def test_comments_and_last_commas_are_taken_in_both_files(tmp_path):
    host = """// begins here
    {"version": "2.0", /* goes
    on */ "extensions": {"http": {"routePrefix": "a//b", // not in "strings"
        "customHeaders": {"x": "/* no comment */", "y": ",]"},
    },},
    }"""
    write(tmp_path, host, '{"Values": {"A": "http://x", }, // last\n}')

    settings = AppSettings.load(tmp_path, {})

    assert settings.host.http.route_prefix == "a//b"
    assert settings.host.http.custom_headers == {"x": "/* no comment */", "y": ",]"}
    assert settings.environment == {"A": "http://x"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('// one\n/* two\n three */ {"a": b}', "line 3, column 17"),
        ('{"a": 1 /* never ends', "line 1, column 9"),
        ('{"a": "1 // x\n"}', "line 1, column 14"),
        ('{"a": [1,,]}', "line 1, column 9"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_place_of_a_mistake_is_that_in_the_file(tmp_path, text, place):
    write(tmp_path, text)

    with pytest.raises(StartupError, match=place):
        AppSettings.load(tmp_path, {})


def test_limits_of_http_are_none_unless_set(load):
    assert load().host.http.max_body_bytes == 104_857_600
    assert load(http={"maxOutstandingRequests": -1}).host.http.max_outstanding is None
    assert load(http={"maxConcurrentRequests": 5}).host.http.max_concurrent == 5


@pytest.mark.parametrize(
    ("http", "environ", "says"),
    [
        ({"maxOutstandingRequests": 0}, {}, "maxoutstandingrequests"),
        ({"customHeaders": {"x": 1}}, {}, "customheaders"),
        ({}, {"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "1 MB"}, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"),
    ],
)
def test_wrong_limit_of_http_is_refused_by_name(load, http, environ, says):
    with pytest.raises(StartupError, match=says):
        load(http=http, environ=environ)
