"""The CDK app: reads the stage, checks it against its account, and composes its two stacks.

cdk deploy --all -c stage=prod
"""

import sys

import aws_cdk as cdk

from infra.bundle import BundleError
from infra.preflight import check_stage
from infra.settings import StageError
from infra.stacks import compose
from infra.stage import Stage

app = cdk.App()
try:
    stage = Stage.of(app)
    for line in check_stage(stage, app.node.get_all_context()):
        print(line, file=sys.stderr)
    compose(app, stage)
except (StageError, BundleError) as error:
    sys.exit(str(error))
app.synth()
