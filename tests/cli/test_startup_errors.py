"""What keeps the runtime from starting is said to a person, and nothing is left running."""

import json
import shutil
import socket

import pytest

from tests.service import SMALL_APP, run, runtime

PORTS = {"--port": 0, "--scheduler-port": 0, "--dashboard-port": 0}


def start(data, app=SMALL_APP, env=None, **ports):
    options = [part for pair in {**PORTS, **ports}.items() for part in pair]
    ended = run("start", "--app", app, "--data", data, *options, env=env)
    assert (ended.returncode, ended.stdout) == (1, ""), ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("error: ") == 1
    return ended.stderr


@pytest.fixture
def app(tmp_path):
    return shutil.copytree(SMALL_APP, tmp_path / "app")


@pytest.mark.parametrize("option", PORTS)
def test_a_port_in_use(tmp_path, option) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = start(tmp_path / "data", **{option: port})
    assert f"port {port} " in said
    assert "in use" in said


def test_a_second_runtime_on_the_same_data(tmp_path) -> None:
    with runtime(tmp_path / "data"):
        said = start(tmp_path / "data")
    assert f"the data folder {tmp_path / 'data'} is in use by another runtime" in said


def test_a_data_folder_that_cannot_be_used(tmp_path) -> None:
    (tmp_path / "data").write_text("a file")
    assert f"the data folder {tmp_path / 'data'} cannot be used" in start(tmp_path / "data")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("import nowhere\n", "No module named 'nowhere'"),
        ("def broken(:\n", "line 1"),
        ("import sys\n\nsys.exit(0)\n", "line 3"),
        ("\0", "function_app.py)"),
    ],
)
def test_a_broken_function_app(tmp_path, app, source, complaint) -> None:
    (app / "function_app.py").write_text(source)
    said = start(tmp_path / "data", app)
    assert "function_app.py could not be loaded" in said
    assert complaint in said


def test_an_app_that_kills_its_process_as_it_loads(tmp_path, app) -> None:
    (app / "function_app.py").write_text("import os\n\nos._exit(7)\n")
    said = start(tmp_path / "data", app)
    assert "the Functions host ended as it started (exit status 7)" in said


def test_a_broken_settings_file(tmp_path, app) -> None:
    (app / "local.settings.json").write_text("{\n  oops\n}")
    assert "local.settings.json is not valid JSON" in start(tmp_path / "data", app)


def test_an_app_folder_that_is_not_there(tmp_path) -> None:
    said = start(tmp_path / "app" / ".local", tmp_path / "app")
    assert f"the app folder {tmp_path / 'app'} does not exist" in said
    assert not (tmp_path / "app").exists()


def test_an_app_folder_that_is_a_file(tmp_path) -> None:
    (tmp_path / "app.py").write_text("")
    said = start(tmp_path / "data", tmp_path / "app.py")
    assert f"the app folder {tmp_path / 'app.py'} is not a folder" in said


@pytest.mark.parametrize("name", ["hüb", "a\nb", "../up", "a b"])
def test_a_task_hub_that_cannot_be_one(tmp_path, name) -> None:
    said = start(tmp_path / "data", **{"--task-hub": name})
    assert f"the task hub {name!r}" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OFFLINE_MODEL_FAULTS", "teapot:1"),
        ("OFFLINE_MODEL_LATENCY_MS", "soon"),
        ("OFFLINE_MODEL_DRIP_MS", "-1"),
    ],
)
def test_a_setting_of_the_offline_model_that_makes_no_sense(tmp_path, name, value) -> None:
    said = start(tmp_path / "data", env={name: value})
    assert name in said
    assert value in said


def test_settings_of_the_app_configure_a_model(tmp_path, app) -> None:
    values = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    (app / "local.settings.json").write_text(json.dumps({"Values": values}))
    with runtime(tmp_path / "data", app) as service:
        assert "Model      as configured" in service.banner
        assert set(service.children()) == {"scheduler", "host"}
