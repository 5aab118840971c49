"""Lines of progress, on no clock but the ticker's own."""

import threading

from pytest_httpconc.bench.progress import Ticker


def test_line_comes_again_and_again_while_one_round_goes_on():
    lines = []
    thrice = threading.Event()

    def say(line):
        lines.append(line)
        if len(lines) == 3:
            thrice.set()

    with Ticker(say, pause=0.001) as ticker:
        ticker.tell(2, 60)
        assert thrice.wait(10)
    assert {line.partition(", the next for ")[0] for line in lines} == {"2 rounds of at most 60"}


def test_nothing_is_said_before_the_first_round_nor_after_the_end():
    lines = []
    with Ticker(lines.append, pause=0.001):
        pass
    assert threading.active_count() == len(threading.enumerate())
    assert not [thread for thread in threading.enumerate() if thread.name == "benchmark progress"]
    assert lines == []
