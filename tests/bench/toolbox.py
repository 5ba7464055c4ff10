"""All tools, in the order in which they take their turns."""

from tests.bench.floor import CP
from tests.bench.lane import LANE
from tests.bench.ssh import RSYNC, SCP, SFTP, TAR

TOOLS = (LANE, RSYNC, SCP, SFTP, TAR, CP)
