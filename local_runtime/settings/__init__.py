"""The app's settings, as `func start` reads them: host.json, local.settings.json, environment."""

from local_runtime.settings.app_settings import AppSettings as AppSettings
from local_runtime.settings.app_settings import check_app_dir as check_app_dir
from local_runtime.settings.data_folder import data_folder as data_folder
from local_runtime.settings.data_folder import host_state_dir as host_state_dir
from local_runtime.settings.host_json import HostJson as HostJson
from local_runtime.settings.http_settings import HttpSettings as HttpSettings
from local_runtime.settings.queue_settings import QueueSettings as QueueSettings
from local_runtime.settings.variables import resolve as resolve
