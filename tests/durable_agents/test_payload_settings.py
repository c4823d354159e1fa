"""The settings of the payload store."""

import subprocess
import sys

import pytest

from durable_agents import ConfigurationError, payload_store_from_environment
from durable_agents.payloads import (
    ACCOUNT_URL,
    CONNECTION_STRING,
    CONTAINER,
    SERVICE_URI,
    THRESHOLD,
)

ACCOUNT = "https://account.blob.core.windows.net"
LOCAL = {CONNECTION_STRING: "UseDevelopmentStorage=true"}


@pytest.mark.parametrize("environ", [{}, {CONNECTION_STRING: " ", ACCOUNT_URL: ""}])
def test_without_settings_nothing_is_stored(environ):
    assert payload_store_from_environment(environ) is None


@pytest.mark.parametrize("name", [ACCOUNT_URL, SERVICE_URI])
def test_an_account_is_reached_by_the_identity_of_the_app(name):
    options = payload_store_from_environment({name: ACCOUNT}).options

    assert (options.account_url, options.connection_string) == (ACCOUNT, None)
    assert type(options.credential).__name__ == "DefaultAzureCredential"


def test_threshold_and_container_can_be_set():
    options = payload_store_from_environment({**LOCAL, THRESHOLD: "1000", CONTAINER: "own"}).options

    assert (options.threshold_bytes, options.container_name) == (1000, "own")


def test_the_usual_threshold_is_below_the_managed_schedulers_limit():
    assert payload_store_from_environment(LOCAL).options.threshold_bytes == 262_144


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({CONNECTION_STRING: "AccountKey=hidden"}, f"{CONNECTION_STRING} cannot be used"),
        ({ACCOUNT_URL: "account"}, f"{ACCOUNT_URL} is 'account'"),
        ({**LOCAL, THRESHOLD: "many"}, f"{THRESHOLD} is 'many'"),
        ({**LOCAL, THRESHOLD: "0"}, f"{THRESHOLD} is '0'"),
        ({**LOCAL, THRESHOLD: "2000000"}, "from 1 to 1000000"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(environ, says):
    with pytest.raises(ConfigurationError, match=says) as error:
        payload_store_from_environment(environ)

    assert "hidden" not in str(error.value)


def test_an_app_that_stores_nothing_does_not_load_the_storage_library():
    code = "import sys, durable_agents; sys.exit('azure.storage.blob' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
