"""Prints what Airflow's route of the configuration answers for our section, as JSON."""

import json
import sys

from airflow.api_fastapi.common.types import Mimetype
from airflow.api_fastapi.core_api.routes.public.config import get_config, get_config_value

from airflow import plugins_manager

# The route's own functions, without the server's check of who asks.
plugins_manager._get_plugins()  # an API server loads them before its first request
whole = get_config(accept=Mimetype.JSON, section="sluicegate")
one = get_config_value(section="sluicegate", option="ledger", accept=Mimetype.JSON)
everything = get_config(accept=Mimetype.JSON, section=None)
options = {option.key: option.value for option in whole.sections[0].options}
seen = f"{whole} {one} {everything}"
print(json.dumps({"options": options, "leaks": sys.argv[1] in seen}))  # noqa: T201
