"""File names of the maximum length and beyond."""

import errno
import os

from agent.files import disk, tmpfile
from infra.local.demo_files import MIB, differences, listing, write_random


async def test_longest_possible_names(hosts):
    """255 bytes in characters of one, two and four bytes, for files, directories and links."""
    for name in ("n" * 255, "ü" * 127 + "n", "🎬" * 63 + "abc"):
        assert len(name.encode()) == 255
        (hosts.data / "t" / name).mkdir(parents=True)
        (hosts.data / "t" / name / name).write_bytes(os.urandom(MIB + 1))
        (hosts.data / "t" / name / f"{name[:-1]}x").write_bytes(b"small")
        (hosts.data / "t" / name / f"{name[:-1]}y").symlink_to(name)
        os.link(hosts.data / "t" / name / name, hosts.data / "t" / name / f"{name[:-1]}z")
    for _ in range(2):
        await hosts.move(hosts.order("/data/t/", "/archive/t/"))
        assert differences(listing(hosts.data / "t"), listing(hosts.archive / "t")) == []


def only_short_names(naming):
    def named(*words: object) -> bool:
        if any(isinstance(word, str) and len(os.fsencode(word)) > 143 for word in words):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        return naming(*words)

    return named


async def test_too_long_name_fails_and_the_rest_is_transferred(hosts, monkeypatch):
    """As on a file system that encrypts names, where 143 bytes are the maximum."""
    for name in ("n" * 200, "short"):
        write_random(hosts.data / "t" / name, 100)
    for module, naming in ((tmpfile, "_link"), (disk, "rename_new")):
        monkeypatch.setattr(module, naming, only_short_names(getattr(module, naming)))
    error = await hosts.fails(hosts.order("/data/t/", "/archive/t/"))
    assert [(one.code, one.path) for one in error.failures] == [("name-too-long", f"/archive/t/{'n' * 200}")]
    assert [path.name for path in (hosts.archive / "t").iterdir()] == ["short"]
