"""`kinetoscope studio` as a program."""

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from kinetoscope.app.cli.main import main


def test_it_prints_its_address_serves_the_page_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    words = ["studio", "--folder", str(tmp_path / "gallery"), "--no-open"]
    # a shell lets its background jobs ignore Ctrl-C
    start = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    start += "from kinetoscope.app.cli.main import main; sys.exit(main(sys.argv[1:]))"
    program = [sys.executable, "-c", start, *words]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            address = re.fullmatch(r"the studio is open at (http://127\.0\.0\.1:\d+/)\n", line)
            assert address, line
            with urllib.request.urlopen(address[1], timeout=60) as answer:
                assert b"Kinetoscope" in answer.read()
                assert "default-src 'none'" in answer.headers["content-security-policy"]
        finally:
            process.send_signal(signal.SIGINT)
            try:
                status = process.wait(timeout=60)
            finally:
                process.kill()
        assert status == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "0"], "--port must be 1 to 65535; got 0"),
        (["--limit-gb", "-1"], "limit_gb must be above 0 and below 1000000; got -1.0"),
        (["--when-full", "explode"], "--when-full must be stop or remove_oldest; got explode"),
        (["--host", "192.0.2.1"], "a port of 192.0.2.1 cannot be had"),
    ],
)
def test_mistakes_end_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["studio", "--no-open", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
