"""How the host starts: what it tells of the app, and how it refuses a broken one."""

import socket

import httpx
import pytest
from host_process import WEBHOOK, running, running_host

APP = """
import azure.durable_functions as df
import azure.functions as func
app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""
ACTIVITY = """
@app.activity_trigger(input_name="x", activity="{durable_name}")
def {name}(x) -> None: ...
"""
READ_SETTING = """
import os
@app.route(route="setting/{name}")
def setting(req: func.HttpRequest) -> str:
    return os.environ.get(req.route_params["name"], "(not set)")
"""


@pytest.fixture
def write_app(tmp_path):
    """Writes an app's files; the folder."""

    def write_app(function_app: str | None, **files: str):
        if function_app is not None:
            (tmp_path / "function_app.py").write_text(function_app)
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_json", ".json")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write_app


def refusal(app_dir, scheduler, **more) -> str:
    """What a host says that does not start."""
    settings = {"port": 0, "task_hub": "", **more}
    with running("host", app_dir=str(app_dir), scheduler=scheduler, **settings) as part:
        part.process.wait(20)
        log = part.end()
    assert part.process.returncode == 1
    assert "Traceback" not in log
    return log[log.index("error: ") :]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import azure.functions\ndef f(:\n", "invalid syntax ({app}, line 2: def f(:)"),
        ("import nothing_there\n", "ModuleNotFoundError: No module named 'nothing_there' "
         "({app}, line 1: import nothing_there)"),
        ("x = 1\nx / 0\n", "ZeroDivisionError: division by zero ({app}, line 2: x / 0)"),
        ("import sys\nsys.exit('no key')\n", "SystemExit: no key ({app}, line 2: sys.exit"),
        ("x = 1\n", "Could not find top level function app instances"),
        (APP + "@app.route()\ndef f(request) -> str: ...\n", "cannot load the f function"),
        (APP + "@app.route(route='a{')\ndef f(req) -> str: ...\n", "the route 'api/a{{'"),
        (APP + ACTIVITY.format(name="a", durable_name="Go")
         + ACTIVITY.format(name="b", durable_name="go"), "two functions, 'a' and 'b'"),
    ],
)  # fmt: skip
def test_broken_app_is_refused_with_the_error_and_its_place(write_app, scheduler, code, says):
    folder = write_app(code)

    assert says.format(app=folder / "function_app.py") in refusal(folder, scheduler)


def test_error_in_a_module_of_the_app_names_that_module(write_app, scheduler):
    folder = write_app("import lib.inner\n", **{"lib__inner.py": "y = 1\nraise KeyError('k')\n"})

    assert f"({folder}/lib/inner.py, line 2: raise KeyError('k'))" in refusal(folder, scheduler)


def test_folder_without_an_app_is_refused(write_app, scheduler):
    assert "holds no function_app.py" in refusal(write_app(None), scheduler)


def test_missing_folder_is_refused(tmp_path, scheduler):
    assert f"the app folder {tmp_path}/none does not exist" in refusal(tmp_path / "none", scheduler)


@pytest.mark.parametrize("name", ["host", "local.settings"])
def test_malformed_settings_are_refused_with_file_line_and_column(write_app, scheduler, name):
    folder = write_app(APP, **{f"{name}_json": '{\n  "a": 1,,\n}'})

    assert f"{folder}/{name}.json is not valid JSON" in refusal(folder, scheduler)
    assert "line 2, column 9" in refusal(folder, scheduler)


def test_port_in_use_is_refused(write_app, scheduler):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        message = refusal(write_app(APP), scheduler, port=port)

    assert f"port {port}" in message
    assert "--port" in message


def test_task_hub_that_cannot_be_one_is_refused(write_app, scheduler):
    message = refusal(write_app(APP), scheduler, task_hub="../up")

    assert "refuses the task hub '../up'" in message


def test_facts_name_functions_with_their_triggers_and_agents(write_app, scheduler):
    agents = "class Agent:\n  def __init__(self, name): self.name = name\n"
    folder = write_app(
        APP + agents + "app.agents = {'One': Agent('One'), 'Two': Agent('Two')}\n"
        + ACTIVITY.format(name="act", durable_name="act")
    )  # fmt: skip
    settings = {"app_dir": str(folder), "port": 0, "scheduler": scheduler, "task_hub": "Facts"}
    with running("host", **settings) as part:
        facts = part.facts()

    assert {"name": "act", "trigger": "activityTrigger"} in facts["functions"]
    assert facts["agents"] == ["One", "Two"]


def test_packages_of_the_app_win_against_those_of_this_runtime(write_app, scheduler):
    code = APP + "from agents import WHOSE\nfrom orchestrations.flow import NAME\n"
    folder = write_app(
        code + "@app.route()\ndef whose(req: func.HttpRequest) -> str: return WHOSE + NAME\n",
        **{"agents__extra.py": "", "orchestrations__flow.py": "NAME = ' flow'\n"},
    )
    (folder / "agents" / "__init__.py").write_text("WHOSE = 'its own'\n")

    with running_host(folder, scheduler) as (_, host):
        assert host.get("/api/whose").text == "its own flow"


def test_app_runs_in_its_own_folder(write_app, scheduler):
    code = APP + "import os\n@app.route()\ndef cwd(req: func.HttpRequest) -> str:\n"
    folder = write_app(code + "    return os.getcwd()\n")

    with running_host(folder, scheduler) as (_, host):
        assert host.get("/api/cwd").text == str(folder)


def test_local_settings_reach_the_app_and_the_environment_wins(write_app, scheduler):
    values = '{"Values": {"ONE": "from file", "TWO": "from file", "EMPTY": ""}}'
    folder = write_app(APP + READ_SETTING, **{"local.settings_json": values})

    with running_host(folder, scheduler, environ={"TWO": "from outside"}) as (_, host):
        found = [host.get(f"/api/setting/{name}").text for name in ("ONE", "TWO", "EMPTY")]

    assert found == ["from file", "from outside", "(not set)"]


def test_route_prefix_and_task_hub_come_from_host_json(write_app, scheduler):
    host_json = """{"version": "2.0", "extensions": {"http": {"routePrefix": "v1/x"},
        "durableTask": {"hubName": "%HUB%", "storageProvider": {"type": "azureManaged"}}}}"""
    flow = "@app.orchestration_trigger(context_name='c')\ndef flow(c): return 1\n"
    folder = write_app(APP + READ_SETTING + flow, host_json=host_json)

    with running_host(folder, scheduler, environ={"HUB": "FromHostJson"}) as (_, host):
        assert host.get("/v1/x/setting/HUB").text == "FromHostJson"
        location = host.post(f"{WEBHOOK}/orchestrators/flow").headers["location"]
        assert location.endswith(
            "?taskHub=FromHostJson&connection=DURABLE_TASK_SCHEDULER_CONNECTION_STRING"
        )


def test_forwarded_host_is_heeded_when_host_json_says_so(write_app, scheduler):
    durable = '{"httpSettings": {"useForwardedHost": true}, "hubName": "Forwarded"}'
    flow = "@app.orchestration_trigger(context_name='c')\ndef flow(c): return 1\n"
    folder = write_app(APP + flow, host_json=f'{{"extensions": {{"durableTask": {durable}}}}}')
    forwarded = {"x-forwarded-host": "example.test", "x-forwarded-proto": "https"}

    with running_host(folder, scheduler) as (_, host):
        reply = host.post(f"{WEBHOOK}/orchestrators/flow", headers=forwarded)

    assert reply.headers["location"].startswith("https://example.test/runtime/webhooks/")


def test_running_instances_are_replaced_when_host_json_says_so(write_app, scheduler):
    durable = '{"overridableExistingInstanceStates": "AnyState", "hubName": "AnyState"}'
    flow = "@app.orchestration_trigger(context_name='c')\n"
    flow += "def flow(c): yield c.wait_for_external_event('go')\n"
    folder = write_app(APP + flow, host_json=f'{{"extensions": {{"durableTask": {durable}}}}}')

    with running_host(folder, scheduler) as (_, host):
        replies = [host.post(f"{WEBHOOK}/orchestrators/flow/same") for _ in range(2)]

    assert [reply.status_code for reply in replies] == [202, 202]


def test_host_listens_on_the_loopback_interface_only(samples):
    _, host = samples
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}

    for address in others - {"127.0.0.1", "127.0.1.1"}:
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"http://{address}:{host.base_url.port}/")
    assert host.get("/").status_code == 200


@pytest.mark.parametrize(
    ("decorators", "says"),
    [
        ('@app.queue_trigger(arg_name="x", queue_name="q", connection="NOT_SET")',
         "binding 'x' of type queueTrigger cannot be used: the connection setting 'NOT_SET'"),
        ('@app.queue_trigger(arg_name="x", queue_name="q-%NOT_SET%", connection="OK")',
         "binding 'x' of type queueTrigger cannot be used: a setting in its queueName"),
        ('@app.blob_trigger(arg_name="x", path="c/{name}", connection="OK", source="EventGrid")',
         "binding 'x' of type blobTrigger has Event Grid as its source"),
        ('@app.blob_trigger(arg_name="x", path="{c}/{name}", connection="OK")',
         "binding 'x' of type blobTrigger cannot be used: the path '{c}/{name}' must begin with"),
        ('@app.service_bus_queue_trigger(arg_name="x", queue_name="q", connection="OK")',
         "binding 'x' of type serviceBusTrigger is not supported by the embedded runtime"),
    ],
)  # fmt: skip
def test_binding_that_cannot_be_served_is_named_and_the_rest_runs(
    write_app, scheduler, decorators, says
):
    code = f"{APP}{decorators}\ndef lame(x) -> None: ...\n"
    folder = write_app(code + "@app.route()\ndef fine(req: func.HttpRequest) -> str: return 'ok'\n")

    with running_host(folder, scheduler, environ={"OK": "UseDevelopmentStorage=true"}) as (
        part,
        host,
    ):
        assert host.get("/api/fine").text == "ok"

    assert f"function 'lame' is not served: its {says}" in part.log
    assert part.log.count("everything else of the app runs") == 1
