"""The CDK app: reads the stage and composes its two stacks.

cdk deploy --all -c stage=prod [-c buckets=one,two]
"""

import aws_cdk as cdk

from infra.stacks import compose
from infra.stage import Stage

app = cdk.App()
compose(app, Stage.from_context(app))
app.synth()
