"""agent.toml: what is valid is read; an error names the key and what to do."""

import os
from pathlib import Path

import pytest

from agent.config import read_config, split_endpoint
from agent.errors import HostError


@pytest.fixture
def write(tmp_path):
    def write_config(text: str) -> Path:
        path = tmp_path / "agent.toml"
        path.write_text(text)
        return path

    return write_config


def test_the_smallest_file_is_enough(write):
    config = read_config(write('[[roots]]\npath = "/data"\naccess = "ro"\n'))
    assert config.state == Path("/var/lib/crosshaul")
    assert config.lane.listen == "0.0.0.0:4460"
    assert config.roots[0].folder == Path("/data")


def test_everything_can_be_set(write):
    config = read_config(
        write(
            'state = "/s"\nhops_at_once = 2\nlog_level = "debug"\n'
            '[lane]\nlisten = "127.0.0.1:9"\nadvertise = ["[2001:db8::1]:9", "b.example:9"]\n'
            '[[roots]]\npath = "/data"\naccess = "rw"\ndirectory = "/mnt/größe"\n'
        )
    )
    assert (config.state, config.hops_at_once, config.roots[0].folder) == (Path("/s"), 2, Path("/mnt/größe"))
    assert config.lane.advertise == ("[2001:db8::1]:9", "b.example:9")


def test_metrics_are_off_unless_they_are_set(write):
    assert read_config(write(ROOT)).metrics.listen is None
    text = (
        '[metrics]\nlisten = "[::1]:9464"\notlp = "https://c.example/v1/metrics"\notlp_headers = "/etc/h"\n'
    )
    metrics = read_config(write(text + ROOT)).metrics
    assert (metrics.listen, metrics.otlp_headers, metrics.otlp_interval_s) == (
        "[::1]:9464",
        Path("/etc/h"),
        60,
    )
    everywhere = '[metrics]\nlisten = "0.0.0.0:9464"\nbeyond_loopback = true\n'
    assert read_config(write(everywhere + ROOT)).metrics.beyond_loopback


ROOT = '[[roots]]\npath = "/data"\naccess = "ro"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[metrics]\nlisten = "0.0.0.0:9464"\n' + ROOT, "metrics: listen is reached by other hosts"),
        ('[metrics]\nlisten = "web-1:9464"\n' + ROOT, "metrics: listen is reached by other hosts"),
        ('[metrics]\notlp = "collector:4318"\n' + ROOT, "metrics.otlp: the collector is not a URL"),
        ('[metrics]\notlp = "http://ann:s@c.example/v1"\n' + ROOT, "what authenticates into a file"),
        ('[metrics]\notlp_headers = "/etc/h"\n' + ROOT, "metrics: otlp_headers belong to a collector"),
        (
            '[metrics]\notlp = "http://c.example/v1"\notlp_headers = "/etc/h"\n' + ROOT,
            "metrics: write https:// in otlp",
        ),
        ('[metrics]\notlp = "http://[::1"\n' + ROOT, "metrics.otlp: "),
        ("", "roots: is missing"),
        ("roots = []", "roots: "),
        (ROOT.replace("ro", "r"), "is not known here"),
        (ROOT.replace('"ro"', '"all"'), "roots[1].access: is not one of 'ro' or 'rw'"),
        (ROOT.replace("/data", "data"), "roots[1].path: the path must be absolute"),
        (ROOT + ROOT, "a root is listed twice: /data"),
        (ROOT + 'directory = "mnt"', "roots[1].directory: the directory must be absolute"),
        ("staet = 1\n" + ROOT, "staet: is not known here"),
        ('[lane]\nlisten = "4460"\n' + ROOT, "lane.listen: '4460' is not host:port"),
        ('[lane]\nlisten = "x:99999"\n' + ROOT, "'x:99999' is not host:port"),
        ("hops_at_once = 0\n" + ROOT, "hops_at_once: "),
        (
            '[network]\nproxy = "http://ann:secret@proxy.example:3128"\n' + ROOT,
            "user and password into a file",
        ),
        (
            '[network]\nproxy = "https://proxy.example:3128"\n' + ROOT,
            "network.proxy: the proxy is not an HTTP",
        ),
        ('[network]\nproxy = "http://proxy.example"\n' + ROOT, "is not host:port"),
        ('[network]\nproxy_credentials = "/etc/x"\n' + ROOT, "belong to a proxy"),
        ('[network]\nproxy = "http://p:1"\nno_proxy = ["a,b"]\n' + ROOT, "'a,b' is not a name"),
        ("[network]\nmqtt_port = 1883\n" + ROOT, "network.mqtt_port: is not one of 443 or 8883"),
        ("= 5", "is not TOML"),
    ],
)
def test_every_error_names_the_key(write, text, expected):
    with pytest.raises(HostError) as caught:
        read_config(write(text))
    assert expected in caught.value.message
    assert "agent.toml" in caught.value.message
    assert caught.value.advice


def test_an_error_does_not_quote_the_password_of_a_proxy(write):
    with pytest.raises(HostError) as caught:
        read_config(write('[network]\nproxy = "http://ann:secret@proxy.example:3128"\n' + ROOT))
    assert "secret" not in caught.value.message + caught.value.advice


def test_errors_that_follow_from_another_are_left_out(write):
    with pytest.raises(HostError) as caught:
        read_config(write(ROOT.replace('"ro"', '"all"')))
    assert "roots: has less" not in caught.value.message


def test_a_missing_file_and_a_directory_are_distinguished(tmp_path):
    with pytest.raises(HostError, match="does not exist"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(HostError, match="cannot be read"):
        read_config(tmp_path)


def test_bytes_that_are_not_text(tmp_path):
    path = tmp_path / "agent.toml"
    path.write_bytes(os.urandom(64) + b"\xff")
    with pytest.raises(HostError, match="is not TOML"):
        read_config(path)


@pytest.mark.parametrize(
    ("text", "parts"),
    [("h:1", ("h", 1)), ("[::]:4460", ("::", 4460)), ("0.0.0.0:0", ("0.0.0.0", 0))],
)
def test_endpoints(text, parts):
    assert split_endpoint(text) == parts


def test_remotes_are_listed_by_name(write):
    config = read_config(
        write(
            'rclone_config = "/etc/r.conf"\n' + ROOT + '[[remotes]]\nname = "archive"\naccess = "ro"\n'
            '[[remotes]]\nname = "disk"\naccess = "rw"\ndirectory = "/srv/x/"\n'
        )
    )
    assert [remote.top for remote in config.remotes] == ["archive:", "disk:/srv/x"]
    assert config.rclone_config == Path("/etc/r.conf")


@pytest.mark.parametrize(
    ("remote", "expected"),
    [
        ('name = "a,type=local"\naccess = "ro"', "remotes[1].name: "),
        ('name = "a"\naccess = "all"', "remotes[1].access: "),
        ('name = "a"\naccess = "ro"\ndirectory = "../x"', "name a plain directory"),
        ('name = "a"\naccess = "ro"\n[[remotes]]\nname = "a"\naccess = "rw"', "listed twice: a"),
    ],
)
def test_an_invalid_remote_is_reported(write, remote, expected):
    with pytest.raises(HostError) as caught:
        read_config(write(f"{ROOT}[[remotes]]\n{remote}\n"))
    assert expected in caught.value.message
