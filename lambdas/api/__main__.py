"""Print the OpenAPI document of the API: `python -m lambdas.api`."""

import json
import sys

from lambdas.api.app import describe

json.dump(describe(), sys.stdout, indent=1, sort_keys=True, ensure_ascii=False)
