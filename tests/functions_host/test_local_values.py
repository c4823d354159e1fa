"""Values of local.settings.json that no environment can hold."""

import json

import pytest

from local_runtime.errors import StartupError
from local_runtime.settings import AppSettings


@pytest.mark.parametrize("values", [{"": "x"}, {"A=B": "x"}, {"A": "x\0y"}, {"A\0": "x"}])
def test_value_that_no_environment_can_hold_is_refused_by_name(tmp_path, values):
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values}))

    with pytest.raises(StartupError, match="cannot be an environment variable") as refused:
        AppSettings.load(tmp_path, {})

    assert repr(next(iter(values))) in str(refused.value)
