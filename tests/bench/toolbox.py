"""All tools, in the order in which they run."""

from tests.bench.floor import CP
from tests.bench.lane import LANE, LANE_DIALED
from tests.bench.rclone import ARIA2, RCLONE_HTTP, RCLONE_S3, RCLONE_SFTP
from tests.bench.s3 import AGENT, AWS_CLI, RCLONE_BUCKET, S5CMD
from tests.bench.ssh import RSYNC, SCP, SFTP, TAR
from tests.bench.syncthing import SYNCTHING

SERVERS = (
    LANE,
    LANE_DIALED,
    RSYNC,
    SCP,
    SFTP,
    TAR,
    RCLONE_SFTP,
    *RCLONE_HTTP,
    RCLONE_S3,
    ARIA2,
    SYNCTHING,
    CP,
)
BUCKETS = (AGENT, RCLONE_BUCKET, S5CMD, AWS_CLI)
TOOLS = (*SERVERS, *BUCKETS)
